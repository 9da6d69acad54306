(** Chain rules: what a whole string surprises is what its tokens surprise, added up.

    Theorems 8 and 9. A sum "along" a string adds a term for each token, given the prefix before
    it; the mean of the token's KL (entropy) at the prefixes that the policy itself visits is the
    KL (entropy) of the law over whole strings. *)

From mathcomp Require Import all_ssreflect all_algebra.
From mathcomp Require Import reals exp.
From BanditRlhf Require Import Bandit Divergence Language Prefix.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section ChainRule.
Variables (R : realType) (A : finType) (stops : pred A) (n : nat).
Local Notation string := (string stops).
Local Notation string_law := (string_law stops).
Local Notation expectation := (expectation stops).
Implicit Types pi ref : policy R A.

(** A policy whose every token its reference could write writes strings that it could write. *)
Lemma supported_string_law pi ref : (forall s, supported (pi s) (ref s)) ->
  supported (string_law pi n) (string_law ref n).
Proof.
move=> piref y /=; elim: (tokens y) pi ref piref => {y} [|a y ih] pi ref piref.
  by move=> /eqP; rewrite oner_eq0.
rewrite !likelihood_cons => /eqP; rewrite mulf_eq0 => /orP[/eqP/piref ->|/eqP].
  by rewrite mul0r.
by move/(ih (after pi [:: a])) => ->; rewrite ?mulr0 // => s; apply: piref.
Qed.

(** Theorem 8, string by string. The log-ratio of a string is the sum of those of its tokens. *)
Theorem log_ratio_along pi ref y : 0 < likelihood pi y -> 0 < likelihood ref y ->
  ln (likelihood pi y / likelihood ref y) = along (fun s a => ln (pi s a / ref s a)) y.
Proof.
elim: y pi ref => [|a y ih] pi ref; first by rewrite /= divr1 ln1.
have factors mu : 0 < likelihood mu (a :: y) ->
    0 < mu [::] a /\ 0 < likelihood (after mu [:: a]) y.
  rewrite likelihood_cons => m0; split; rewrite lt_def ?mass_ge0 ?likelihood_ge0 andbT.
    by apply: contraTneq m0 => ->; rewrite mul0r ltxx.
  by apply: contraTneq m0 => ->; rewrite mulr0 ltxx.
move=> /factors[p0 py0] /factors[r0 ry0] /=.
by rewrite -[X in _ = _ + X](ih _ _ py0 ry0) -lnM ?posrE ?divr_gt0 // mulf_div.
Qed.

(** Theorem 8, the chain rule of KL. The divergence between the laws of whole strings is the
    mean, over the strings that [pi] writes, of the sum over tokens of the divergence between the
    two next-token laws after the prefix before the token. *)
Theorem kl_chain_rule pi ref : supported (string_law pi n) (string_law ref n) ->
  kl (string_law pi n) (string_law ref n) =
  expectation pi n (along (fun s _ => kl (pi s) (ref s))).
Proof.
move=> piref; rewrite -(mean_along stops pi n (fun s a => ln (pi s a / ref s a))).
apply: eq_bigr => y _; have [->|py] := eqVneq (string_law pi n y) 0; first by rewrite !mul0r.
have py0 : 0 < string_law pi n y by rewrite lt_def py mass_ge0.
by congr (_ * _); apply: log_ratio_along; rewrite // (supported_gt0 piref).
Qed.

(** Theorem 8 for any two laws over strings: their next-token laws are the conditional ones. *)
Theorem kl_chain_rule_laws (p q : law R [finType of string n]) (tokens_exist : (0 < #|A|)%N) :
  supported p q -> kl p q =
  mean p (fun y => along (fun s _ => kl (next_token p tokens_exist s) (next_token q tokens_exist s))
                         (tokens y)).
Proof.
move=> pq; have pE := string_law_next_token p tokens_exist.
have qE := string_law_next_token q tokens_exist.
rewrite -(eq_kl pE qE) kl_chain_rule => [|y]; last by rewrite pE qE; apply: pq.
by apply: eq_bigr => y _; rewrite pE.
Qed.

(** Theorem 9, the chain rule of entropy. The entropy of the law over whole strings is the mean,
    over strings, of the sum over tokens of the entropy of the next-token law before the token. *)
Theorem entropy_chain_rule pi :
  entropy (string_law pi n) = expectation pi n (along (fun s _ => entropy (pi s))).
Proof.
have -> : expectation pi n (along (fun s _ => entropy (pi s))) =
    expectation pi n (along (fun s a => - ln (pi s a))).
  rewrite [RHS]mean_along; apply: eq_expectation => y _; apply: eq_along => s _.
  by rewrite /entropy /mean -sumrN; apply: eq_bigr => a _; rewrite mulrN.
rewrite /entropy -sumrN; apply: eq_bigr => y _; rewrite -mulrN.
have [->|py] := eqVneq (string_law pi n y) 0; first by rewrite !mul0r.
have {py} : 0 < likelihood pi (tokens y) by rewrite lt_def py likelihood_ge0.
move=> py; congr (_ * _); move: py; rewrite /=; elim: (tokens y) pi => {y} [|a y ih] pi; first by rewrite /= ln1 oppr0.
rewrite likelihood_cons => py; have p0 : 0 < pi [::] a.
  by rewrite lt_def mass_ge0 andbT; apply: contraTneq py => ->; rewrite mul0r ltxx.
by rewrite pmulr_rgt0 // in py; rewrite lnM ?posrE // opprD /= -[X in _ = _ + X](ih _ py).
Qed.

End ChainRule.

(** Theorem 8's hypothesis holds of every policy when the reference is the coin of [Language]. *)
Example kl_chain_rule_instance (R : realType) (pi : policy R [finType of bool]) n :
  supported (string_law (pred1 true) pi n) (string_law (pred1 true) (coin_policy R) n).
Proof.
apply: supported_string_law => s; apply: positive_supported => a.
by rewrite /= invr_gt0 ltr0n.
Qed.
