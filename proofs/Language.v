(** Languages: strings of bounded length, policies that write them token by token, their laws.

    A token is a letter of a finite alphabet [A]; some tokens stop a string. A string of horizon
    [n] either ends with its first stopping token, or is cut after [n] tokens without one: the two
    cases of a language with an end token. With no stopping token at all, strings are all sequences
    of exactly [n] tokens. A policy gives the law of the next token after every prefix; the prompt
    is fixed and not written down. *)

From mathcomp Require Import all_ssreflect all_algebra.
From BanditRlhf Require Import Bandit.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Strings.
Variables (A : finType) (stops : pred A).

(** All strings of horizon [n]: nothing if no token may be written; else each token, alone if it
    stops the string, followed by every string of the remaining horizon if not. *)
Fixpoint strings (n : nat) : seq (seq A) :=
  if n is m.+1 then
    flatten [seq if stops a then [:: [:: a]] else [seq a :: y | y <- strings m] | a <- enum A]
  else [:: [::]].

(** The finite type of the strings of horizon [n]; a string is, among other things, a sequence. *)
Definition string n := seq_sub (strings n).
Canonical string_eqType n := [eqType of string n].
Canonical string_choiceType n := [choiceType of string n].
Canonical string_countType n := [countType of string n].
Canonical string_finType n := [finType of string n].
Definition tokens n (y : string n) : seq A := ssval y.
Coercion tokens : string >-> seq.

(** A prefix after which a token is chosen: not stopped, and not cut yet. *)
Definition unfinished n (s : seq A) := ~~ has stops s && (size s < n)%N.

Lemma mem_strings0 y : (y \in strings 0) = (y == [::]).
Proof. by rewrite inE. Qed.

Lemma mem_stringsS n y : (y \in strings n.+1) =
  if y is a :: z then if stops a then z == [::] else z \in strings n else false.
Proof.
apply/flatten_mapP/idP => [[a _]|].
  case: ifP => sa; first by rewrite inE => /eqP ->; rewrite sa eqxx.
  by case/mapP => z zn ->; rewrite sa.
case: y => // a z sz; exists a; first by rewrite mem_enum.
by move: sz; case: ifP => _ => [/eqP ->|zn]; rewrite ?inE // mem_map // => ? ? [].
Qed.

(** What a string is: a stopping token after an unfinished prefix, or [n] tokens none of which
    stops. *)
Lemma stringsP n y : y \in strings n <->
  (exists s e, [/\ y = rcons s e, unfinished n s & stops e]) \/ (~~ has stops y /\ size y = n).
Proof.
rewrite /unfinished; elim: n y => [|n ih] y.
  rewrite mem_strings0; split=> [/eqP ->|[[s [e []]]|[_ /size0nil ->] //]]; first by right.
  by rewrite andbF.
rewrite mem_stringsS; case: y => [|a z]; first by split=> // -[[[|? ?] [? []]]|[]] //.
have [sa|sa] := boolP (stops a); split.
- by move/eqP ->; left; exists [::], a.
- case=> [[[|b s] [e [e1 us se]]]|[]] /=; last by rewrite sa.
    by case: e1 => _ ->.
  by case: e1 us => <- _; rewrite /= sa.
- move/ih => -[[s [e [-> sn se]]]|[nz <-]]; [left|right].
    by exists (a :: s), e; rewrite /= (negbTE sa) ltnS.
  by rewrite /= (negbTE sa).
case=> [[[|b s] [e [e1 us se]]]|[nz [zn]]].
- by case: e1 se sa => <- _ ->.
- by case: e1 us => <- ->; rewrite /= (negbTE sa) ltnS => us; apply/ih; left; exists s, e.
by apply/ih; right; move: nz; rewrite /= (negbTE sa).
Qed.

Lemma uniq_strings n : uniq (strings n).
Proof.
elim: n => //= n ih; have := enum_uniq A; elim: (enum A) => //= a l il /andP[al ul].
rewrite cat_uniq il // andbT; apply/andP; split.
  by case: ifP => // _; rewrite map_inj_uniq // => ? ? [].
apply/hasPn => y /flatten_mapP[b bl yb].
have ab : a != b by apply: contraNneq al => ->.
have [z yz] : exists z, y = b :: z.
  by move: yb; case: ifP => _; [rewrite inE => /eqP ->|case/mapP => z _ ->]; [exists [::]|exists z].
rewrite yz; case: ifP => _; last first.
  by apply/mapP => -[z' _ [ba _]]; rewrite ba eqxx in ab.
by rewrite -[mem _ _]/(_ \in [:: [:: a]]) mem_seq1; apply: contra ab => /eqP[-> _].
Qed.

Lemma string_in n (y : string n) : tokens y \in strings n.
Proof. exact: ssvalP. Qed.

(** Along a string, every proper prefix is unfinished. *)
Lemma prefix_unfinished n s a z : s ++ a :: z \in strings n -> unfinished n s.
Proof.
rewrite /unfinished; elim: s n => [|b s ih] n.
  by case: n => // ; rewrite mem_strings0.
case: n => [|n]; first by rewrite mem_strings0.
rewrite cat_cons mem_stringsS /= ltnS; case: ifP => sb; first by case: s {ih}.
exact: ih.
Qed.

(** No string is a proper prefix of another. *)
Lemma prefix_free n y z : y \in strings n -> y ++ z \in strings n -> z = [::].
Proof.
elim: n y => [|n ih] [|a y]; rewrite ?mem_stringsS ?mem_strings0 //.
  by move=> _ /eqP.
rewrite cat_cons; case: ifP => _; last exact: ih.
by move=> /eqP -> /eqP.
Qed.

Lemma prefix_string n s y : unfinished n s -> prefix s y -> y \in strings n ->
  exists a z, y = s ++ a :: z.
Proof.
move=> us /prefixP[[|a z] ->]; last by exists a, z.
rewrite cats0 => /stringsP[[t [e [st _ se]]]|[_ sn]]; move: us; rewrite /unfinished.
  by rewrite st has_rcons se.
by rewrite sn ltnn andbF.
Qed.

Section Sums.
Variable R : realFieldType.

Lemma sum_strings n (f : seq A -> R) : \sum_(y : string n) f y = \sum_(y <- strings n) f y.
Proof.
rewrite -[in RHS](val_seq_sub_enum (uniq_strings n)) big_map.
apply: congr_big => //. rewrite [LHS]unlock.
by rewrite unlock.
Qed.

Lemma sum_string0 (f : seq A -> R) : \sum_(y : string 0) f y = f [::].
Proof. by rewrite sum_strings big_seq1. Qed.

(** A sum over strings is a sum over first tokens and what follows them. *)
Lemma sum_stringS n (f : seq A -> R) : \sum_(y : string n.+1) f y =
  \sum_a if stops a then f [:: a] else \sum_(y : string n) f (a :: y).
Proof.
rewrite sum_strings /= big_flatten big_map big_enum /=; apply: eq_bigr => a _.
case: ifP => _; first by rewrite big_seq1.
by rewrite big_map (sum_strings n (fun y => f (a :: y))).
Qed.

End Sums.
End Strings.

Section Policies.
Variables (R : realFieldType) (A : finType) (stops : pred A).
Local Notation string := (string stops).
Local Notation strings := (strings stops).
Local Notation unfinished := (unfinished stops).
Implicit Types (s y : seq A) (a : A).

(** An autoregressive policy: the law of the next token after every prefix. *)
Definition policy := seq A -> law R A.
Implicit Types pi mu : policy.

(** The policy as it goes on after the prefix [s]. *)
Definition after pi s : policy := fun y => pi (s ++ y).

(** The probability that [pi] writes [y], token after token. *)
Fixpoint likelihood pi y : R :=
  if y is a :: z then pi [::] a * likelihood (after pi [:: a]) z else 1.

(** The sum of f(y_<t, y_t) over the tokens y_t of [y]. *)
Fixpoint along (f : seq A -> A -> R) y : R :=
  if y is a :: z then f [::] a + along (fun s => f (a :: s)) z else 0.

(** The likelihood is the product of pi(y_t | y_<t) over the tokens of [y]. *)
Lemma likelihoodE pi y : likelihood pi y = \prod_(t < size y) pi (take t y) (tnth (in_tuple y) t).
Proof.
elim: y pi => [|a z ih] pi; first by rewrite big_ord0.
rewrite /= big_ord_recl ih /=; congr (_ * _); apply: eq_bigr => t _.
by rewrite !(tnth_nth a).
Qed.

Lemma alongE f y : along f y = \sum_(t < size y) f (take t y) (tnth (in_tuple y) t).
Proof.
elim: y f => [|a z ih] f; first by rewrite big_ord0.
rewrite /= big_ord_recl ih /=; congr (_ + _); apply: eq_bigr => t _.
by rewrite !(tnth_nth a).
Qed.

Lemma eq_along f g y : (forall s a, f s a = g s a) -> along f y = along g y.
Proof. by move=> fg; rewrite !alongE; apply: eq_bigr => t _; rewrite fg. Qed.


Lemma eq_likelihood pi mu y : (forall s, pi s =1 mu s) -> likelihood pi y = likelihood mu y.
Proof. by move=> e; rewrite !likelihoodE; apply: eq_bigr => t _; rewrite e. Qed.

Lemma likelihood_ge0 pi y : 0 <= likelihood pi y.
Proof. by rewrite likelihoodE prodr_ge0 // => t _; apply: mass_ge0. Qed.

Lemma likelihood_cat pi s y : likelihood pi (s ++ y) = likelihood pi s * likelihood (after pi s) y.
Proof. by elim: s pi => [|a s ih] pi; rewrite ?mul1r //= ih mulrA. Qed.

Lemma likelihood_cons pi a z :
  likelihood pi (a :: z) = pi [::] a * likelihood (after pi [:: a]) z.
Proof. by []. Qed.

Lemma likelihood_rcons pi s a : likelihood pi (rcons s a) = likelihood pi s * pi s a.
Proof. by rewrite -cats1 likelihood_cat /= mulr1 /after cats0. Qed.

Lemma along_cat f s y : along f (s ++ y) = along f s + along (fun t => f (s ++ t)) y.
Proof. by elim: s f => [|a s ih] f; rewrite ?add0r //= ih addrA. Qed.

Lemma along_rcons f s a : along f (rcons s a) = along f s + f s a.
Proof. by rewrite -cats1 along_cat /= addr0 cats0. Qed.

Lemma likelihood_sum1 n pi : \sum_(y : string n) likelihood pi y = 1.
Proof.
elim: n pi => [|n ih] pi; first by rewrite sum_string0.
rewrite sum_stringS /= -[RHS](mass_sum1 (pi [::])); apply: eq_bigr => a _.
by case: ifP => _; rewrite ?mulr1 // -mulr_sumr ih mulr1.
Qed.

(** The law of the string of horizon [n] that [pi] writes. *)
Definition string_law pi n : law R [finType of string n] :=
  Law (fun y : string n => likelihood_ge0 pi y) (likelihood_sum1 n pi).

(** The mean of [f] over the strings of horizon [n] that [pi] writes. *)
Definition expectation pi n (f : seq A -> R) : R :=
  mean (string_law pi n) (fun y : string n => f y).

Lemma eq_expectation pi n f g : (forall y, y \in strings n -> f y = g y) ->
  expectation pi n f = expectation pi n g.
Proof. by move=> fg; apply: eq_mean => y; rewrite fg ?string_in. Qed.

Lemma eq_expectation_policy pi mu n f : (forall s, pi s =1 mu s) ->
  expectation pi n f = expectation mu n f.
Proof. by move=> e; apply: eq_bigr => y _ /=; rewrite (eq_likelihood (tokens y) e). Qed.

Lemma expectationD pi n f g :
  expectation pi n (fun y => f y + g y) = expectation pi n f + expectation pi n g.
Proof. exact: meanD. Qed.

Lemma expectation_const pi n c : expectation pi n (fun _ => c) = c.
Proof. exact: mean_const. Qed.

(** A mean over strings, first token first. *)
Lemma expectation0 pi (f : seq A -> R) : expectation pi 0 f = f [::].
Proof. exact: etrans (sum_string0 stops (fun y => likelihood pi y * f y)) (mul1r _). Qed.

Lemma expectationS pi n (f : seq A -> R) : expectation pi n.+1 f =
  mean (pi [::]) (fun a =>
    if stops a then f [:: a] else expectation (after pi [:: a]) n (fun y => f (a :: y))).
Proof.
apply: etrans (sum_stringS stops n (fun y => likelihood pi y * f y)) _.
apply: eq_bigr => a _; case: ifP => _ /=; first by rewrite mulr1.
by rewrite mulr_sumr; apply: eq_bigr => y _; rewrite mulrA.
Qed.

(** A sum along a drawn string may be averaged token by token: what each token adds can be
    replaced by its mean over the tokens that could have stood there. *)
Theorem mean_along pi n (f : seq A -> A -> R) :
  expectation pi n (along f) = expectation pi n (along (fun s _ => mean (pi s) (f s))).
Proof.
elim: n pi f => [|n ih] pi f; rewrite ?expectation0 // !expectationS /=.
pose g a := if stops a then 0 else expectation (after pi [:: a]) n (along (fun s => f (a :: s))).
transitivity (mean (pi [::]) (fun a => f [::] a + g a)).
  apply: eq_mean => a; rewrite /g; case: ifP => _ //.
  by rewrite /expectation (meanD _ (fun _ => f [::] a)) mean_const.
transitivity (mean (pi [::]) (fun a => mean (pi [::]) (f [::]) + g a)).
  by rewrite !meanD mean_const.
apply: eq_mean => a; rewrite /g; case: ifP => _ //.
rewrite /expectation (meanD _ (fun _ => mean (pi [::]) (f [::]))) mean_const.
by rewrite -!/(expectation _ _ _) ih.
Qed.

End Policies.

Arguments policy R A : clear implicits.
Arguments string_law {R A} stops pi n.
Arguments expectation {R A} stops pi n f.

(** A smallest language, to show that the hypotheses above can be met: one ordinary token (false)
    and the end token (true), horizon 2, written by a policy that tosses a fair coin. *)
Section Instance.
Variable R : realFieldType.

Lemma half_ge0 (a : bool) : 0 <= 2^-1 :> R.
Proof. by rewrite invr_ge0 ler0n. Qed.

Lemma halves_sum1 : \sum_(a : bool) (2^-1 : R) = 1.
Proof. by rewrite sumr_const card_bool -mulr_natr mulVf // pnatr_eq0. Qed.

Definition coin : law R [finType of bool] := Law half_ge0 halves_sum1.
Definition coin_policy : policy R [finType of bool] := fun _ => coin.

Example strings_instance : strings (pred1 true : pred bool) 2 =
  [:: [:: true]; [:: false; true]; [:: false; false]].
Proof. by rewrite /= enumT unlock. Qed.

End Instance.
