(** Best-of-n: draw n strings from the reference and keep one with the highest reward.

    Theorems 20 and 36. F is the distribution function of the reward under the reference, F_ its
    left limit. Ties may be broken by any rule that sees the rewards alone. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From mathcomp Require Import boolp classical_sets reals topology normedtype sequences derive.
From mathcomp Require Import realfun exp.
From BanditRlhf Require Import Bandit Divergence Softmax Draws.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory numFieldNormedType.Exports.
Local Open Scope ring_scope.

Section Levels.
Variables (R : realFieldType) (T : finType) (ref : law R T) (reward : T -> R).
Implicit Types (x : R) (y z : T) (n : nat).

(** F(x): the chance that a draw of the reference has a reward of at most x. *)
Definition at_most x : R := \sum_(z | reward z <= x) ref z.

(** F_(x): the chance that it has a reward below x. *)
Definition below x : R := \sum_(z | reward z < x) ref z.

(** The chance that it has exactly the reward x. *)
Definition level x : R := \sum_(z | reward z == x) ref z.

Lemma mass_ex (I : finType) (p : law R I) : exists i, 0 < p i.
Proof.
have [/existsP//|/existsPn p0] := boolP [exists i, 0 < p i].
have : \sum_i p i = 0.
  apply: big1 => i _; apply/eqP; rewrite eq_le mass_ge0 andbT.
  by have := p0 i; rewrite -leNgt.
by rewrite mass_sum1 => /eqP; rewrite oner_eq0.
Qed.

Lemma at_mostE x : at_most x = below x + level x.
Proof.
rewrite /at_most /below /level (bigID (fun z => reward z < x)) /=; congr (_ + _).
  by apply: eq_bigl => z; rewrite andbC; case: ltP => // /ltW ->.
by apply: eq_bigl => z; rewrite -leNgt -eq_le.
Qed.

Lemma level_ge0 x : 0 <= level x.
Proof. by apply: sumr_ge0 => z _; apply: mass_ge0. Qed.

Lemma below_ge0 x : 0 <= below x.
Proof. by apply: sumr_ge0 => z _; apply: mass_ge0. Qed.

Lemma below_at_most x : below x <= at_most x.
Proof. by rewrite at_mostE ler_addl level_ge0. Qed.

Lemma at_most_le1 x : at_most x <= 1.
Proof.
rewrite -(mass_sum1 ref) [leRHS](bigID (fun z => reward z <= x)) /= ler_addl.
by apply: sumr_ge0 => z _; apply: mass_ge0.
Qed.

Lemma mass_le_level y : ref y <= level (reward y).
Proof.
rewrite /level (bigD1 y) //= ler_addl.
by apply: sumr_ge0 => z _; apply: mass_ge0.
Qed.

Lemma level_eq0 y : level (reward y) = 0 -> ref y = 0.
Proof.
by move=> l0; apply/eqP; rewrite eq_le mass_ge0 andbT -l0 mass_le_level.
Qed.

(** The rank of a string: how many strings have a lower reward. Ranks order strings as rewards do. *)
Definition rank y : nat := #|[set z | reward z < reward y]|.

Lemma rank_le y z : reward y <= reward z -> (rank y <= rank z)%N.
Proof.
move=> yz; apply/subset_leq_card/fintype.subsetP => w; rewrite !inE => wy.
exact: lt_le_trans wy yz.
Qed.

Lemma rank_lt y z : (rank y < rank z)%N = (reward y < reward z).
Proof.
apply/idP/idP => [|yz]; first by apply: contraTT; rewrite -leNgt -leqNgt; apply: rank_le.
apply/proper_card/properP; split.
  by apply/fintype.subsetP => w; rewrite !inE => /lt_trans; apply.
by exists y; rewrite !inE ?ltxx.
Qed.

Lemma rank_eq y z : (rank y == rank z) = (reward y == reward z).
Proof.
have le u v : (rank u <= rank v)%N = (reward u <= reward v) by rewrite leqNgt rank_lt -leNgt.
by rewrite eqn_leq !le -eq_le.
Qed.

Lemma rank_bound y : (rank y < #|T|)%N.
Proof.
apply/proper_card/properP; split; first exact/fintype.subsetP.
by exists y; rewrite ?inE // ltxx.
Qed.

(** The chance of a rank below k. *)
Definition below_rank k : R := \sum_(z | (rank z < k)%N) ref z.

Lemma below_rankE y : below_rank (rank y) = below (reward y).
Proof. by apply: eq_bigl => z; rewrite rank_lt. Qed.

Lemma below_rankS k : below_rank k.+1 = below_rank k + \sum_(z | rank z == k) ref z.
Proof.
rewrite /below_rank (bigID (fun z => (rank z < k)%N)) /=; congr (_ + _); apply: eq_bigl => z.
  by rewrite ltnS andbC; case: ltnP => // /ltnW ->.
by rewrite ltnS -leqNgt -eqn_leq.
Qed.

Lemma below_rankSE y : below_rank (rank y).+1 = at_most (reward y).
Proof.
rewrite below_rankS below_rankE at_mostE; congr (_ + _).
by apply: eq_bigl => z; rewrite rank_eq.
Qed.

Lemma below_rank_le k : below_rank k <= below_rank k.+1.
Proof. by rewrite below_rankS ler_addl sumr_ge0 // => z _; apply: mass_ge0. Qed.

Lemma below_rank_ge0 k : 0 <= below_rank k.
Proof. by apply: sumr_ge0 => z _; apply: mass_ge0. Qed.

(** A sum over strings of what depends on their level alone is a sum over the levels. *)
Lemma sum_levels (h : R -> R -> R) : (forall a, h a a = 0) ->
  \sum_y h (below (reward y)) (at_most (reward y)) / level (reward y) * ref y
    = \sum_(k < #|T|) h (below_rank k) (below_rank k.+1).
Proof.
move=> h0; rewrite (partition_big (fun y => Ordinal (rank_bound y)) xpredT) //=.
apply: eq_bigr => k _; rewrite below_rankS; set m := \sum_(z | _) _.
rewrite (eq_bigr (fun y => h (below_rank k) (below_rank k + m) / m * ref y)); last first.
  move=> y /eqP e; have {}e : rank y = k by rewrite -e.
  have -> : m = level (reward y) by apply: eq_bigl => z; rewrite -e rank_eq.
  by rewrite at_mostE -below_rankE e.
rewrite -mulr_sumr (eq_bigl (fun z => rank z == k)) -/m //.
have [->|mn] := eqVneq m 0; last by rewrite divfK.
by rewrite mulr0 addr0 h0.
Qed.

Lemma telescope_levels (f : R -> R) :
  \sum_(k < #|T|) (f (below_rank k.+1) - f (below_rank k)) = f 1 - f 0.
Proof.
rewrite -(big_mkord xpredT (fun k => f (below_rank k.+1) - f (below_rank k))) telescope_sumr //.
congr (f _ - f _); last by rewrite /below_rank big_pred0.
by rewrite -(mass_sum1 ref); apply: eq_bigl => z; rewrite rank_bound.
Qed.

Section BestOfN.
Variable n : nat.
Hypothesis n_gt0 : (0 < n)%N.

(** A rule that picks one of n draws, at random perhaps, from their rewards. *)
Definition rule := {ffun 'I_n -> R} -> law R [finType of 'I_n].

(** It picks among the best only. *)
Definition picks_best (pick : rule) : Prop :=
  forall v i, 0 < pick v i -> forall j, v j <= v i.

(** The chance that the string that wins is [y]: draw n strings, pick one by their rewards. *)
Definition chance_to_win (pick : rule) y : R :=
  mean (draws ref n) (fun ys => \sum_i pick [ffun j => reward (ys j)] i * (ys i == y)%:R).

Lemma picked_level (pick : rule) (v : {ffun 'I_n -> R}) x : picks_best pick ->
  \sum_i pick v i * (v i == x)%:R = \prod_i (v i <= x)%R%:R - \prod_i (v i < x)%R%:R.
Proof.
move=> best; have [i0 p0] := mass_ex (pick v); have top := best v i0 p0.
have all_of (P : pred 'I_n) : \prod_i (P i)%:R = [forall i, P i]%:R :> R.
  have [/forallP Pi|/forallPn[i /negbTE Pi]] := boolP [forall i, P i].
    by rewrite big1 // => i _; rewrite Pi.
  by rewrite (bigD1 i) //= Pi mul0r.
rewrite (all_of (fun i => (v i <= x)%R)) (all_of (fun i => (v i < x)%R)).
have -> : [forall i, (v i <= x)%R] = (v i0 <= x).
  by apply/forallP/idP => [|vx i]; [apply|apply: le_trans (top i) vx].
have -> : [forall i, (v i < x)%R] = (v i0 < x).
  by apply/forallP/idP => [|vx i]; [apply|apply: le_lt_trans (top i) vx].
transitivity (\sum_i pick v i * (v i0 == x)%:R).
  apply: eq_bigr => i _; have := mass_ge0 (pick v) i.
  rewrite le_eqVlt => /orP[/eqP<-|pi]; first by rewrite !mul0r.
  by have /eqP -> : v i == v i0 by rewrite eq_le top (best v i pi).
rewrite -mulr_suml mass_sum1 mul1r.
by case: ltgtP => _; rewrite /= ?subr0 ?subrr.
Qed.

Lemma mean_all (P : pred T) :
  mean (draws ref n) (fun ys => \prod_i (P (ys i))%:R) = (\sum_(z | P z) ref z) ^+ n.
Proof.
rewrite (@mean_prod _ _ ref n (fun _ z => (P z)%:R)) prodr_const card_ord; congr (_ ^+ _).
rewrite /mean [RHS]big_mkcond; apply: eq_bigr => z _.
by case: (P z); rewrite /= ?mulr1 ?mulr0.
Qed.

(** Theorem 20. Whatever the rule that breaks ties, best-of-n returns y with chance
    (F(r(y))^n - F_(r(y))^n) ref(y) / P(r = r(y)): the level wins with chance F^n - F_^n, and among
    equal rewards the winner is distributed as the reference. *)
Theorem best_of_n_pmf pick y : picks_best pick ->
  chance_to_win pick y
    = (at_most (reward y) ^+ n - below (reward y) ^+ n) / level (reward y) * ref y.
Proof.
move=> best; set x := reward y; pose q := ref y / level x.
have levelq : level x * q = ref y.
  rewrite mulrC /q; have [l0|ln0] := eqVneq (level x) 0; last by rewrite divfK.
  by rewrite (level_eq0 l0) !mul0r.
have centred : centred_given reward ref (fun z => (z == y)%:R - (reward z == x)%:R * q).
  move=> c; under eq_bigr do rewrite mulrBr.
  rewrite sumrB; have [->|cx] := eqVneq c x.
    rewrite (bigD1 y) //= eqxx mulr1 big1 => [|z /andP[_ /negbTE ->]]; last by rewrite mulr0.
    rewrite (eq_bigr (fun z => ref z * q)) => [|z ->]; last by rewrite mul1r.
    by rewrite -mulr_suml -/(level x) levelq addr0 subrr.
  rewrite !big1 ?subrr // => z /eqP zc.
    by rewrite zc (negbTE cx) mul0r mulr0.
  have [zy|_] := eqVneq z y; last by rewrite mulr0.
  by move: cx; rewrite -zc zy eqxx.
have swap : chance_to_win pick y = mean (draws ref n) (fun ys =>
    \sum_i pick [ffun j => reward (ys j)] i * ((reward (ys i) == x)%:R * q)).
  rewrite /chance_to_win !mean_sum; apply: eq_bigr => i _.
  by apply: mean_same_given (draws_centred_given (n := n) i centred) => ys ys' ->.
rewrite swap; under eq_mean => ys.
  under eq_bigr => i do rewrite mulrA -[reward (ys i)](ffunE (fun j => reward (ys j)) i).
  rewrite -mulr_suml picked_level //.
  under [X in X - _]eq_bigr do rewrite ffunE.
  under [X in _ - X]eq_bigr do rewrite ffunE.
  rewrite mulrC; over.
rewrite meanZ meanB (mean_all (fun z => (reward z <= x)%R)) (mean_all (fun z => (reward z < x)%R)).
by rewrite mulrC mulrA mulrAC.
Qed.

(** The fair rule: all draws with the highest reward have the same chance. *)
Definition best_among (v : {ffun 'I_n -> R}) : {set 'I_n} := [set i | [forall j, (v j <= v i)%R]].

Lemma best_among_gt0 v : (0 < #|best_among v|)%N.
Proof.
have [i _ top] := arg_maxP v (erefl : xpredT (Ordinal n_gt0)).
by apply/card_gt0P; exists i; rewrite inE; apply/forallP => j; apply: top.
Qed.

Lemma fair_ge0 v i : 0 <= (i \in best_among v)%:R / #|best_among v|%:R :> R.
Proof. by rewrite divr_ge0 ?ler0n. Qed.

Lemma fair_sum1 v : \sum_i (i \in best_among v)%:R / #|best_among v|%:R = 1 :> R.
Proof.
have e : \sum_i (i \in best_among v)%:R = #|best_among v|%:R :> R.
  rewrite -sum1_card natr_sum [RHS]big_mkcond; apply: eq_bigr => i _.
  by case: (i \in _).
by rewrite -mulr_suml e divff // pnatr_eq0 -lt0n best_among_gt0.
Qed.

Definition fair : rule := fun v => Law (fair_ge0 v) (fair_sum1 v).

(** An instance of the hypothesis on rules: the fair one picks among the best. *)
Lemma fair_picks_best_instance : picks_best fair.
Proof.
move=> v i /=; case: (boolP (i \in _)) => [|_]; last by rewrite mul0r ltxx.
by rewrite inE => /forallP.
Qed.

Lemma best_of_n_ge0 y :
  0 <= (at_most (reward y) ^+ n - below (reward y) ^+ n) / level (reward y) * ref y.
Proof.
rewrite mulr_ge0 ?mass_ge0 // divr_ge0 ?level_ge0 // subr_ge0.
by rewrite ler_expn2r ?nnegrE ?below_ge0 ?below_at_most // (le_trans _ (below_at_most _)) ?below_ge0.
Qed.

Lemma best_of_n_sum1 :
  \sum_y (at_most (reward y) ^+ n - below (reward y) ^+ n) / level (reward y) * ref y = 1.
Proof.
rewrite (sum_levels (h := fun a b => b ^+ n - a ^+ n)) => [|a]; last exact: subrr.
by rewrite (telescope_levels (fun a => a ^+ n)) expr1n expr0n gtn_eqF ?subr0.
Qed.

(** The law of the best of n draws. *)
Definition best_of_n : law R T := Law best_of_n_ge0 best_of_n_sum1.

End BestOfN.
End Levels.
