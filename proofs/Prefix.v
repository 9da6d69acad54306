(** Prefixes: how much mass of a law over strings starts with them, and which next-token laws that
    makes. Theorem 4: laws over strings and autoregressive policies are two views of one thing.

    The alphabet must have a token: over an empty one there is the empty string, but no policy. *)

From mathcomp Require Import all_ssreflect all_algebra.
From BanditRlhf Require Import Bandit Language.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Prefixes.
Variables (R : realFieldType) (A : finType) (stops : pred A).
Local Notation string := (string stops).
Local Notation strings := (strings stops).
Local Notation unfinished := (unfinished stops).
Local Notation string_law := (string_law stops).
Local Notation policy := (policy R A).
Implicit Types (s y : seq A) (a : A) (pi mu : policy).

Section Conditionals.
Variables (n : nat) (p : law R [finType of string n]).
Hypothesis tokens_exist : (0 < #|A|)%N.

(** The mass of the strings that start with [s]. *)
Definition prefix_mass s : R := \sum_(y : string n | prefix s y) p y.

Lemma prefix_mass_ge0 s : 0 <= prefix_mass s.
Proof. by apply: sumr_ge0 => y _; apply: mass_ge0. Qed.

Lemma prefix_mass_cat s y : prefix_mass (s ++ y) <= prefix_mass s.
Proof.
rewrite /prefix_mass [leRHS]big_mkcond [leLHS]big_mkcond; apply: ler_sum => z _.
case: ifP => [|_]; last by case: ifP => _; rewrite ?mass_ge0.
by move/(prefix_trans (prefix_prefix s y)) => ->.
Qed.

Lemma prefix_mass_nil : prefix_mass [::] = 1.
Proof. by rewrite -(mass_sum1 p); apply: eq_bigl => y; rewrite prefix0s. Qed.

Lemma prefix_mass_string (y : string n) : prefix_mass y = p y.
Proof.
rewrite /prefix_mass (big_pred1 y) // => z; apply/idP/eqP => [|->]; last exact: prefix_refl.
move/prefixP => [t zt]; apply/val_inj; rewrite /= -/(tokens z) zt.
by rewrite (@prefix_free _ stops n y t) ?cats0 ?string_in // -zt string_in.
Qed.

(** The masses after an unfinished prefix divide up its own. *)
Lemma prefix_mass_rcons s : unfinished n s -> \sum_a prefix_mass (rcons s a) = prefix_mass s.
Proof.
move=> us; rewrite /prefix_mass; under eq_bigr do rewrite big_mkcond.
rewrite exchange_big /= [RHS]big_mkcond; apply: eq_bigr => y _; case: ifP => sy; last first.
  apply: big1 => a _; case: ifP => // /(prefix_trans (prefix_rcons s a)).
  by rewrite sy.
have [b [z yz]] := prefix_string us sy (string_in y).
rewrite (bigD1 b) //= yz -cat_rcons prefix_prefix big1 ?addr0 // => a ab.
by rewrite cat_rcons -cats1 prefix_catr // eqxx /= (negbTE ab).
Qed.

(** The conditional law of the token after [s]: the mass of the strings that start with [s] and
    that token, over the mass of those that start with [s]; uniform where that is zero. *)
Definition next_token_mass s a : R :=
  let total := \sum_b prefix_mass (rcons s b) in
  if 0 < total then prefix_mass (rcons s a) / total else #|A|%:R^-1.

Lemma next_token_ge0 s a : 0 <= next_token_mass s a.
Proof.
rewrite /next_token_mass; case: ifP => [t0|_]; last by rewrite invr_ge0 ler0n.
by rewrite divr_ge0 ?prefix_mass_ge0 // ltW.
Qed.

Lemma next_token_sum1 s : \sum_a next_token_mass s a = 1.
Proof.
rewrite /next_token_mass /=; case: (ltrP 0) => [t0|_].
  by rewrite -mulr_suml divff // gt_eqF.
by rewrite sumr_const -[RHS](@mulVf _ #|A|%:R) ?mulr_natr // pnatr_eq0 -lt0n.
Qed.

Definition next_token : policy := fun s => Law (next_token_ge0 s) (next_token_sum1 s).

Lemma next_tokenE s a : unfinished n s -> 0 < prefix_mass s ->
  next_token s a = prefix_mass (rcons s a) / prefix_mass s.
Proof. by move=> us s0; rewrite /= /next_token_mass prefix_mass_rcons // s0. Qed.

(** Theorem 4, from strings to tokens and back. Every law over strings is the law of the policy
    that draws each token from its conditional law: nothing is lost by writing token by token. *)
Theorem string_law_next_token : string_law next_token n =1 p.
Proof.
move=> y /=; rewrite -prefix_mass_string.
suff along_y z s : s ++ z \in strings n ->
    prefix_mass s * likelihood (after next_token s) z = prefix_mass (s ++ z).
  by rewrite -(along_y _ [::]) ?string_in // prefix_mass_nil mul1r.
elim: z s => [|a z ih] s sz; first by rewrite cats0 mulr1.
have us := prefix_unfinished sz; have [s0|] := ltrP 0 (prefix_mass s); last first.
  move=> s0; have {}s0 : prefix_mass s = 0 by apply/le_anti; rewrite s0 prefix_mass_ge0.
  rewrite s0 mul0r; apply/le_anti; rewrite prefix_mass_ge0 /=.
  by rewrite -s0 prefix_mass_cat.
rewrite -cat_rcons -ih ?cat_rcons // likelihood_cons {1}/after cats0 next_tokenE //.
rewrite mulrA mulrCA divff ?gt_eqF // mulr1; congr (_ * _).
by apply: eq_likelihood => t b; rewrite /after cat_rcons.
Qed.

End Conditionals.

Section Bijection.
Variable n : nat.

Lemma prefix_mass_cons m pi b t : prefix_mass (string_law pi m.+1) (b :: t) =
  pi [::] b * (if stops b then (t == [::])%:R
               else prefix_mass (string_law (after pi [:: b]) m) t).
Proof.
rewrite /prefix_mass big_mkcond.
apply: etrans (sum_stringS stops m (fun y => if prefix (b :: t) y then likelihood pi y else 0)) _.
rewrite (bigD1 b) //= [X in _ + X]big1 ?addr0 => [|c cb]; last first.
  by rewrite eq_sym (negbTE cb); case: ifP => // _; apply: big1.
rewrite eqxx /=; case: ifP => _; first by case: t => *; rewrite ?mulr0.
by rewrite mulr_sumr [RHS]big_mkcond.
Qed.

Lemma prefix_mass_likelihood_rcons pi s a : unfinished n s ->
  prefix_mass (string_law pi n) (rcons s a) = likelihood pi (rcons s a).
Proof.
rewrite /unfinished; elim: s n pi => [|b s ih] [|m] pi; rewrite ?ltn0 ?andbF // => us.
  by rewrite [LHS]prefix_mass_cons prefix_mass_nil if_same.
rewrite [LHS]prefix_mass_cons; move: us.
by rewrite /= ltnS negb_or -andbA => /andP[/negbTE -> us]; rewrite ih.
Qed.

(** The mass of a prefix under the strings that [pi] writes is the probability that [pi] writes
    that prefix. *)
Theorem prefix_mass_likelihood pi s : unfinished n s ->
  prefix_mass (string_law pi n) s = likelihood pi s.
Proof.
move=> us; rewrite -prefix_mass_rcons //.
under eq_bigr do rewrite prefix_mass_likelihood_rcons // likelihood_rcons.
by rewrite -mulr_sumr mass_sum1 mulr1.
Qed.

(** Theorem 4, from tokens to strings and back. After every prefix that can be written, the
    conditional law of the next token under the policy's string law is the policy's own. *)
Theorem next_token_string_law (tokens_exist : (0 < #|A|)%N) pi s :
  unfinished n s -> 0 < likelihood pi s ->
  next_token (string_law pi n) tokens_exist s =1 pi s.
Proof.
move=> us s0 a; rewrite next_tokenE ?(prefix_mass_likelihood pi us) //.
by rewrite prefix_mass_likelihood_rcons // likelihood_rcons mulrAC divff ?mul1r // gt_eqF.
Qed.

(** Theorem 4, the bijection. Two policies have the same law over strings exactly when they agree
    after every prefix that can be written: policies up to prefixes that never occur, and laws over
    strings, are two names of one thing. *)
Theorem same_string_law pi mu : string_law pi n =1 string_law mu n <->
  (forall s, unfinished n s -> 0 < likelihood pi s -> pi s =1 mu s).
Proof.
split=> [e s us s0 a|e y].
  have same t : prefix_mass (string_law pi n) t = prefix_mass (string_law mu n) t.
    by apply: eq_bigr => y _; rewrite e.
  have m0 : 0 < likelihood mu s by rewrite -prefix_mass_likelihood // -same prefix_mass_likelihood.
  have tokens_exist : (0 < #|A|)%N by apply/card_gt0P; exists a.
  rewrite -(next_token_string_law tokens_exist us s0) -(next_token_string_law tokens_exist us m0).
  by rewrite !next_tokenE ?prefix_mass_likelihood_rcons ?(prefix_mass_likelihood _ us) //
             -!prefix_mass_likelihood_rcons // -!(prefix_mass_likelihood _ us) !same.
have {}e s a z : s ++ a :: z \in strings n -> likelihood pi s = likelihood mu s ->
    likelihood pi (rcons s a) = likelihood mu (rcons s a).
  move/prefix_unfinished => us same; rewrite !likelihood_rcons -same.
  have [s0|] := ltrP 0 (likelihood pi s); first by rewrite e.
  by move=> s0; have /eqP -> : likelihood pi s == 0;
     rewrite ?mul0r // eq_le s0 likelihood_ge0.
suff all_along z s : s ++ z \in strings n -> likelihood pi s = likelihood mu s ->
    likelihood pi (s ++ z) = likelihood mu (s ++ z).
  exact: (all_along (tokens y) [::] (string_in y) erefl).
elim: z s => [|a z ih] s; rewrite ?cats0 // => sz same.
by rewrite -cat_rcons; apply: ih; rewrite ?cat_rcons // (e _ _ _ sz).
Qed.

End Bijection.
End Prefixes.

(** Theorem 4's hypotheses hold of the prefix "false", which the coin writes half of the time. *)
Example next_token_string_law_instance (R : realFieldType) :
  [/\ (0 < #|[finType of bool]|)%N, unfinished (pred1 true) 2 [:: false]
     & likelihood (coin_policy R) [:: false] = 2^-1 ].
Proof. by rewrite card_bool /= mulr1. Qed.
