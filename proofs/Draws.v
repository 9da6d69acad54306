(** Independent draws from a law, and what averages out given a part of what was drawn.

    A batch of n draws is a function from the n places to the actions; its law is the product
    law. Estimators that look at a batch (theorems 3, 19 and 20) have their means here. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From BanditRlhf Require Import Bandit.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Given.
Variables (R : realFieldType) (T : finType).
Implicit Types (p : law R T) (f b s : T -> R).

Lemma mean_sum (I : Type) (rI : seq I) (P : pred I) p (f : I -> T -> R) :
  mean p (fun y => \sum_(i <- rI | P i) f i y) = \sum_(i <- rI | P i) mean p (f i).
Proof.
rewrite /mean; under eq_bigr do rewrite mulr_sumr.
exact: exchange_big.
Qed.

Section Part.
Variables (S : eqType) (part : T -> S).

(** Given the part of the draw that [part] reads, [s] has mean zero, whatever that part is. *)
Definition centred_given p s : Prop := forall c, \sum_(y | part y == c) p y * s y = 0.

(** [b] looks at that part only. *)
Definition reads b : Prop := forall y y', part y = part y' -> b y = b y'.

Lemma mean_reads p b s : reads b -> centred_given p s -> mean p (fun y => b y * s y) = 0.
Proof.
move=> br ps; pose parts := undup [seq part y | y <- enum T].
have part_in y : part y \in parts by rewrite mem_undup map_f ?mem_enum.
transitivity (\sum_(y : T) \sum_(c <- parts | part y == c) b y * (p y * s y)).
  apply: eq_bigr => y _; rewrite mulrCA -big_filter (perm_big [:: part y]) ?big_seq1 //.
  apply: uniq_perm => // [|c]; first by rewrite filter_uniq ?undup_uniq.
  rewrite mem_filter inE eq_sym.
  by have [->|//] := eqVneq c (part y); rewrite part_in.
rewrite (exchange_big_dep xpredT) //= big1 // => c _.
have [y0 /eqP py0|none] := pickP (fun y => part y == c); last by rewrite big_pred0.
rewrite (eq_bigr (fun y => b y0 * (p y * s y))); last first.
  by move=> y /eqP py; rewrite (br y y0) // py.
by rewrite -mulr_sumr ps mulr0.
Qed.

(** Two functions with the same mean given a part may stand for each other next to anything that
    looks at that part only. *)
Lemma mean_same_given p b f g : reads b -> centred_given p (fun y => f y - g y) ->
  mean p (fun y => b y * f y) = mean p (fun y => b y * g y).
Proof.
move=> br fg; apply/eqP; rewrite -subr_eq0 -meanB; apply/eqP.
rewrite -[RHS](mean_reads br fg).
by apply: eq_mean => y; rewrite mulrBr.
Qed.

End Part.
End Given.

Section Draws.
Variables (R : realFieldType) (T : finType) (p : law R T) (n : nat).
Implicit Types (ys : {ffun 'I_n -> T}) (f g s : T -> R).

Lemma draws_ge0 ys : 0 <= \prod_i p (ys i).
Proof. by apply: prodr_ge0 => i _; apply: mass_ge0. Qed.

Lemma draws_sum1 : \sum_(ys : {ffun 'I_n -> T}) \prod_i p (ys i) = 1.
Proof.
rewrite -(bigA_distr_bigA (fun _ y => p y)).
by under eq_bigr do rewrite mass_sum1; rewrite big1_eq.
Qed.

(** The law of n independent draws of [p]: the product law. *)
Definition draws : law R [finType of {ffun 'I_n -> T}] := Law draws_ge0 draws_sum1.

(** A mean of a product over draws is the product of the means. *)
Lemma mean_prod (g : 'I_n -> T -> R) :
  mean draws (fun ys => \prod_i g i (ys i)) = \prod_i mean p (g i).
Proof.
rewrite bigA_distr_bigA; apply: eq_bigr => ys _.
by rewrite big_split.
Qed.

Lemma mean_draw i g : mean draws (fun ys => g (ys i)) = mean p g.
Proof.
pose h j := if j == i then g else fun=> 1.
transitivity (mean draws (fun ys => \prod_j h j (ys j))).
  apply: eq_mean => ys; rewrite (bigD1 i) //= big1 ?mulr1 /h ?eqxx // => j /negbTE.
  by rewrite /h => ->.
rewrite mean_prod (bigD1 i) //= big1 ?mulr1 /h ?eqxx // => j /negbTE ->.
exact: mean_const.
Qed.

Lemma mean_two_draws i j f g : i != j ->
  mean draws (fun ys => f (ys i) * g (ys j)) = mean p f * mean p g.
Proof.
move=> ij; have ji : j != i by rewrite eq_sym.
pose h k := if k == i then f else if k == j then g else fun=> 1.
have hi : h i = f by rewrite /h eqxx.
have hj : h j = g by rewrite /h (negbTE ji) eqxx.
have hk k : (k != i) && (k != j) -> h k = fun=> 1.
  by case/andP=> /negbTE ki /negbTE kj; rewrite /h ki kj.
transitivity (mean draws (fun ys => \prod_k h k (ys k))).
  apply: eq_mean => ys; rewrite (bigD1 i) //= (bigD1 j) //= big1 ?mulr1 ?hi ?hj // => k.
  by move/hk->.
rewrite mean_prod (bigD1 i) //= (bigD1 j) //= big1 ?mulr1 ?hi ?hj // => k /hk ->.
exact: mean_const.
Qed.

(** What has mean zero given a part of its own draw has mean zero given those parts of all draws. *)
Lemma draws_centred_given (S : eqType) (part : T -> S) s i : centred_given part p s ->
  centred_given (fun ys => [ffun j => part (ys j)]) draws (fun ys => s (ys i)).
Proof.
move=> ps c; pose F j y := p y * (if j == i then s y else 1).
transitivity (\sum_(ys in family (fun j => [pred y | part y == c j])) \prod_j F j (ys j)).
  apply: eq_big => ys.
    apply/eqP/familyP => [<- j|e]; first by rewrite inE ffunE.
    by apply/ffunP => j; rewrite ffunE; apply/eqP; have := e j; rewrite inE.
  move=> _; rewrite big_split /=; congr (_ * _).
  by rewrite (bigD1 i) //= eqxx big1 ?mulr1 // => j /negbTE ->.
rewrite -bigA_distr_big_dep (bigD1 i) //= [X in X * _](_ : _ = 0) ?mul0r //.
by rewrite -[RHS](ps (c i)); apply: eq_big => [y|y _]; rewrite ?inE /F ?eqxx.
Qed.

(** [b] does not look at draw [i]. *)
Definition ignores i (b : {ffun 'I_n -> T} -> R) : Prop :=
  forall ys ys', (forall j, j != i -> ys j = ys' j) -> b ys = b ys'.

(** Next to what does not look at a draw, a function of that draw with mean zero averages out. *)
Lemma mean_ignores i b s : ignores i b -> mean p s = 0 ->
  mean draws (fun ys => b ys * s (ys i)) = 0.
Proof.
move=> bi ps0; pose others ys := [ffun j => if j == i then None else Some (ys j)].
apply: (@mean_reads _ _ _ others) => [ys ys' e|c].
  apply: bi => j ji; have := congr1 (fun w : {ffun _} => w j) e.
  by rewrite !ffunE (negbTE ji) => -[].
pose F j y := p y * (if j == i then s y else 1).
pose Q j := [pred y : T | (if j == i then None else Some y) == c j].
transitivity (\sum_(ys in family Q) \prod_j F j (ys j)).
  apply: eq_big => ys.
    apply/eqP/familyP => [e j|e]; first by rewrite /Q inE -e ffunE.
    by apply/ffunP => j; rewrite ffunE; apply/eqP; have := e j; rewrite inE.
  move=> _; rewrite big_split /=; congr (_ * _).
  by rewrite (bigD1 i) //= eqxx big1 ?mulr1 // => j /negbTE ->.
rewrite -bigA_distr_big_dep (bigD1 i) //= [X in X * _](_ : _ = 0) ?mul0r //.
rewrite /Q /F eqxx; case: (c i) => [z|]; first by rewrite big_pred0.
by rewrite -[RHS]ps0; apply: eq_bigl => y /=.
Qed.

End Draws.

Section Binary.
Variables (R : realFieldType) (T : finType) (p : law R T) (n : nat) (right : pred T).

(** The chance that one draw is right. *)
Definition chance : R := mean p (fun y => (right y)%:R).

(** How many of n draws are right. *)
Definition count_right (ys : {ffun 'I_n -> T}) : nat := #|[set i | right (ys i)]|.

Lemma sum_right (ys : {ffun 'I_n -> T}) : \sum_i (right (ys i))%:R = (count_right ys)%:R :> R.
Proof.
rewrite /count_right -sum1_card natr_sum [RHS]big_mkcond /=.
by apply: eq_bigr => i _; rewrite inE; case: (right _).
Qed.

Lemma chance_wrong : mean p (fun y => (~~ right y)%:R) = 1 - chance.
Proof.
rewrite -[X in X - _](mean_const p) -meanB; apply: eq_mean => y.
by case: (right y); rewrite /= ?subrr ?subr0.
Qed.

(** Theorem 19, the count. The number of right draws among n is binomial. *)
Theorem count_right_binomial (phi : nat -> R) :
  mean (draws p n) (fun ys => phi (count_right ys))
    = \sum_(k < n.+1) 'C(n, k)%:R * chance ^+ k * (1 - chance) ^+ (n - k) * phi k.
Proof.
pose at_ (A : {set 'I_n}) (ys : {ffun 'I_n -> T}) : R :=
  \prod_i (if i \in A then (right (ys i))%:R else (~~ right (ys i))%:R).
have at_right ys : \sum_(A : {set 'I_n}) phi #|A| * at_ A ys = phi (count_right ys).
  rewrite (bigD1 [set i | right (ys i)]) //= big1 ?addr0.
    rewrite /at_ big1 ?mulr1 // => i _; rewrite inE; by case: (right _).
  move=> A nA; have [i iA] : exists i, (i \in A) != right (ys i).
    apply/existsP; apply: contraR nA => /existsPn e; apply/eqP/setP => i.
    by rewrite inE; apply/eqP; have := e i; rewrite negbK.
  rewrite /at_ (bigD1 i) //= [X in _ * (X * _)](_ : _ = 0) ?mul0r ?mulr0 //.
  by move: iA; case: (i \in A); case: (right _).
transitivity (\sum_(A : {set 'I_n}) phi #|A| * (chance ^+ #|A| * (1 - chance) ^+ (n - #|A|))).
  rewrite -(eq_mean _ at_right) mean_sum; apply: eq_bigr => A _.
  rewrite meanZ; congr (_ * _).
  rewrite (@mean_prod _ _ p n
    (fun i y => if i \in A then (right y)%:R else (~~ right y)%:R)) (bigID (mem A)) /=.
  congr (_ * _).
    rewrite (eq_bigr (fun=> chance)) ?prodr_const // => i iA.
    by apply: eq_mean => y; rewrite iA.
  rewrite (eq_bigr (fun=> 1 - chance)) => [|i /negbTE iA]; last first.
    by rewrite -chance_wrong; apply: eq_mean => y; rewrite iA.
  rewrite (eq_bigl (mem (~: A))) => [|i]; last by rewrite !inE.
  by rewrite prodr_const; congr (_ ^+ _); rewrite cardsCs setCK card_ord.
have small (A : {set 'I_n}) : (#|A| < n.+1)%N.
  by rewrite ltnS -[leqRHS]card_ord; apply: max_card.
rewrite (partition_big (fun A => Ordinal (small A)) xpredT) //=.
apply: eq_bigr => k _.
rewrite (eq_bigr (fun=> phi k * (chance ^+ k * (1 - chance) ^+ (n - k)))); last first.
  by move=> A /eqP <-.
rewrite sumr_const -mulr_natl -!mulrA [phi k * _]mulrC -!mulrA; congr (_%:R * _).
transitivity #|[set A : {set 'I_n} | #|A| == k]|; last by rewrite card_draws card_ord.
by apply: eq_card => A; rewrite !inE.
Qed.

End Binary.
