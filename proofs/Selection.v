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

Section Trapezoid.
Variable R : realFieldType.
Implicit Types a b : R.

(** A power lies above its tangent. *)
Lemma power_tangent a b m : 0 <= a -> a <= b -> a ^+ m * (m.+1%:R * b - m%:R * a) <= b ^+ m.+1.
Proof.
move=> a0 ab; have b0 := le_trans a0 ab; elim: m => [|m IH].
  by rewrite expr0 mul1r mul0r subr0 mul1r expr1.
rewrite exprS [leRHS]exprS; apply: le_trans (_ : b * (a ^+ m * (m.+1%:R * b - m%:R * a)) <= _).
  rewrite -subr_ge0 -[m.+2]addn1 -[m.+1]addn1 !natrD.
  set P := a ^+ m; have P0 : 0 <= P by exact: exprn_ge0.
  have -> : b * (P * ((m%:R + 1) * b - m%:R * a))
      - a * P * ((m%:R + 1 + 1) * b - (m%:R + 1) * a) = P * ((m%:R + 1) * (b - a) ^+ 2) by ring.
  apply: mulr_ge0 => //; apply: mulr_ge0; last exact: sqr_ge0.
  by rewrite addr_ge0 ?ler0n ?ler01.
by rewrite ler_wpmul2l.
Qed.

(** The trapezoid's inequality for a power. *)
Lemma trapezoid a b n : 0 <= a -> a <= b ->
  n.+1%:R * (b ^+ n - a ^+ n) * (a + b) <= 2 * (n%:R * (b ^+ n.+1 - a ^+ n.+1)).
Proof.
move=> a0 ab; elim: n => [|n IH]; first by rewrite !expr0 subrr mulr0 !mul0r mulr0.
have b0 := le_trans a0 ab; have tangent := power_tangent n a0 ab.
have ba : 0 <= b - a by rewrite subr_ge0.
have := addr_ge0 (mulr_ge0 b0 (_ : 0 <= _)) (mulr_ge0 ba (_ : 0 <= _)).
move=> /(_ _ _ (etrans (subr_ge0 _ _) IH) (etrans (subr_ge0 _ _) tangent)).
rewrite -[in X in _ -> X]subr_ge0 !exprS -![n.+1]addn1 !natrD.
by move: (a ^+ n) (b ^+ n) => A B; congr (0 <= _); ring.
Qed.

End Trapezoid.

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

(** The rank of a string: how many strings have a lower reward. Ranks order as rewards do. *)
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
have F0 : 0 <= at_most (reward y) by apply: le_trans (below_at_most _); apply: below_ge0.
by rewrite ler_expn2r ?nnegrE ?below_ge0 ?below_at_most.
Qed.

Lemma best_of_n_sum1 :
  \sum_y (at_most (reward y) ^+ n - below (reward y) ^+ n) / level (reward y) * ref y = 1.
Proof.
rewrite (sum_levels (h := fun a b => b ^+ n - a ^+ n)) => [|a]; last exact: subrr.
by rewrite (telescope_levels (fun a => a ^+ n)) expr1n expr0n gtn_eqF ?subr0.
Qed.

(** The law of the best of n draws; by [best_of_n_pmf] it is the chance to win, under any rule. *)
Definition best_of_n : law R T := Law best_of_n_ge0 best_of_n_sum1.

(** Theorem 20, support. What the reference never draws never wins. *)
Theorem best_of_n_supported : supported best_of_n ref.
Proof. by move=> y /= ->; rewrite mulr0. Qed.

(** What a comparison of two rewards counts: a tie is half a win. *)
Definition wins (u v : R) : R := if v < u then 1 else if v == u then 2^-1 else 0.

(** The win rate of a policy over the reference, of independent draws. *)
Definition win_rate (p : law R T) : R :=
  mean p (fun y => mean ref (fun z => wins (reward y) (reward z))).

Lemma mean_wins y : mean ref (fun z => wins (reward y) (reward z))
  = (below (reward y) + at_most (reward y)) / 2.
Proof.
rewrite at_mostE addrA mulrDl -mulr2n -[_ *+ 2]mulr_natr mulfK ?pnatr_eq0 //.
transitivity (\sum_z ((if reward z < reward y then ref z else 0)
    + (if reward z == reward y then ref z / 2 else 0))); last first.
  by rewrite big_split /= -!big_mkcond /level mulr_suml.
apply: eq_bigr => z _; rewrite /wins.
by case: ltgtP => _; rewrite ?mulr1 ?mulr0 ?addr0 ?add0r.
Qed.

(** Theorem 36, the win rate. Best-of-n beats its reference at a rate of at most n / (n + 1), ties
    counted as a half. *)
Theorem best_of_n_win_rate : win_rate best_of_n <= n%:R / n.+1%:R.
Proof.
rewrite /win_rate; under eq_mean do rewrite mean_wins.
pose h (a b : R) := (b ^+ n - a ^+ n) * ((a + b) / 2).
have -> : mean best_of_n (fun y => (below (reward y) + at_most (reward y)) / 2)
    = \sum_(k < #|T|) h (below_rank k) (below_rank k.+1).
  rewrite -sum_levels => [|a]; last by rewrite /h subrr mul0r.
  by apply: eq_bigr => y _; rewrite /h /=; ring.
pose f (a : R) := n%:R / n.+1%:R * a ^+ n.+1.
have -> : n%:R / n.+1%:R = f 1 - f 0 by rewrite /f expr1n expr0n mulr1 mulr0 subr0.
rewrite -telescope_levels; apply: ler_sum => k _.
have ab := below_rank_le k; have a0 := below_rank_ge0 k.
move: (below_rank k) (below_rank k.+1) ab a0 => a b ab a0; rewrite /h /f -mulrBr.
have n1 : 0 < n.+1%:R :> R by rewrite ltr0n.
rewrite -(ler_pmul2l n1) [X in _ <= X]mulrA [n.+1%:R * (_ / _)]mulrC divfK ?gt_eqF //.
by rewrite !mulrA ler_pdivr_mulr ?ltr0n // -mulrA [X in _ <= X]mulrC mulrA; apply: trapezoid.
Qed.

(** Theorem 20, no single string gains more than the top level allows: P(y) / ref(y) is at most one
    over the chance of the highest reward. *)
Theorem best_of_n_ratio top y : (forall z, reward z <= reward top) ->
  best_of_n y * level (reward top) <= ref y.
Proof.
move=> best; rewrite /=; set x := reward y; set m := level (reward top).
have [l0|ln0] := eqVneq (level x) 0; first by rewrite l0 invr0 mulr0 !mul0r mass_ge0.
have l0 : 0 < level x by rewrite lt_def ln0 level_ge0.
rewrite -mulrA [ref y * m]mulrC mulrA -[leRHS]mul1r ler_wpmul2r ?mass_ge0 //.
rewrite mulrAC ler_pdivr_mulr // mul1r.
have -> : level x = at_most x - below x by rewrite at_mostE addrC addKr.
have am : below x <= 1 - m.
  rewrite ler_subr_addr; apply: le_trans (at_most_le1 (reward top)).
  rewrite at_mostE ler_add2r.
  rewrite /below big_mkcond [leRHS]big_mkcond /=; apply: ler_sum => z _.
  have [zx|_] := ltP (reward z) x; first by rewrite (lt_le_trans zx (best y)).
  by case: ifP => // _; apply: mass_ge0.
have b1 := at_most_le1 x; have ab := below_at_most x; have a0 := below_ge0 x.
have c0 : 0 <= m by apply: level_ge0.
move: (below x) (at_most x) m c0 ab a0 b1 am => a b c c0 ab a0 b1 ac.
have b0 := le_trans a0 ab.
rewrite subrXX -mulrA -[leRHS]mulr1 ler_wpmul2l ?subr_ge0 //.
apply: le_trans (_ : (\sum_(i < n) a ^+ i) * (1 - a) <= _).
  apply: ler_pmul => //.
  - by apply: sumr_ge0 => i _; rewrite mulr_ge0 // exprn_ge0.
  - by apply: ler_sum => i _; rewrite ler_pimull ?exprn_ge0 // exprn_ile1.
  by rewrite ler_subr_addr addrC -ler_subr_addr.
rewrite mulrC; have := subrXX 1 a n; rewrite expr1n.
under eq_bigr do rewrite expr1n mul1r.
by move=> <-; rewrite ler_subl_addr ler_addl exprn_ge0.
Qed.

End BestOfN.

(** Theorem 20, one draw. The best of one draw is the draw. *)
Theorem best_of_one (pos : (0 < 1)%N) : best_of_n pos =1 ref.
Proof.
move=> y /=; rewrite !expr1 at_mostE addrC addKr mulrC.
have [l0|ln0] := eqVneq (level (reward y)) 0; last by rewrite divff ?mulr1.
by rewrite l0 invr0 mulr0 mulr0 (level_eq0 l0).
Qed.

End Levels.

Section Divergence.
Variables (R : realType) (T : finType) (ref : law R T) (reward : T -> R) (n : nat).
Hypothesis n_gt0 : (0 < n)%N.
Implicit Types (a b c t u x : R) (y z top : T).
Local Notation best := (best_of_n ref reward n_gt0).

(** Theorem 20, the bound. Best-of-n strays at most -ln ref(top) from the reference, whatever n,
    with top any string of the highest reward: what is kept cannot be rarer than the top. *)
Theorem best_of_n_kl_top top : (forall z, reward z <= reward top) -> 0 < ref top ->
  kl best ref <= - ln (ref top).
Proof.
move=> is_top r0; set m := ref top in r0 *.
rewrite -[leRHS](mean_const best); apply: ler_sum => y _.
have := mass_ge0 best y; rewrite le_eqVlt => /orP[/eqP<-|p0]; first by rewrite !mul0r.
rewrite ler_wpmul2l ?(ltW p0) // -lnV ?posrE // ler_ln ?posrE ?invr_gt0 //; last first.
  by rewrite divr_gt0 // (supported_gt0 _ p0) //; apply: best_of_n_supported.
have q0 : 0 < ref y by apply: supported_gt0 p0; apply: best_of_n_supported.
rewrite ler_pdivr_mulr // mulrC ler_pdivl_mulr //.
apply: le_trans (best_of_n_ratio ref n_gt0 y is_top).
by rewrite ler_wpmul2l ?(ltW p0) // mass_le_level.
Qed.

Local Notation m := (n.-1).

(** An antiderivative of x ln x at x = n u^(n-1), the density of the best of n uniform draws. *)
Definition potential u : R := u ^+ n * (ln n%:R + m%:R * ln u - m%:R / n%:R).

Lemma natr_n : n%:R = m%:R + 1 :> R.
Proof. by rewrite -{1}(prednK n_gt0) mulrS addrC. Qed.

Lemma potential_step a b : 0 <= a -> a < b ->
  (b ^+ n - a ^+ n) * ln ((b ^+ n - a ^+ n) / (b - a)) <= potential b - potential a.
Proof.
move=> a0 ab; have b0 := le_lt_trans a0 ab; have N0 : 0 < n%:R :> R by rewrite ltr0n.
have Nn : m%:R + 1 != 0 :> R by rewrite -natr_n gt_eqF.
move: a0; rewrite le_eqVlt => /orP[/eqP<-|a0].
  rewrite /potential expr0n gtn_eqF //= mul0r !subr0 ler_wpmul2l ?exprn_ge0 ?(ltW b0) //.
  have -> : b ^+ n / b = b ^+ m by rewrite -(prednK n_gt0) exprS mulrC mulKf ?gt_eqF.
  rewrite lnX // -[ln b *+ m]mulr_natl addrAC ler_addr subr_ge0.
  have Ni : 0 < n%:R^-1 :> R by rewrite invr_gt0.
  have := ln_leB1 Ni; rewrite lnV ?posrE // ler_oppl opprB; apply: le_trans.
  by rewrite natr_n le_eqVlt; apply/orP; left; apply/eqP; field.
set c := (b ^+ n - a ^+ n) / (b - a).
have c0 : 0 < c by rewrite divr_gt0 ?subr_gt0 // ltr_pexpn2r // nnegrE ltW.
pose G t := expR (n%:R * t) * (ln n%:R - m%:R / n%:R + m%:R * t)
  - (ln c + 1) * expR (n%:R * t) + c * expR t.
pose dG t := expR t * (n%:R * expR (m%:R * t) * (ln n%:R + m%:R * t)
  - (ln c + 1) * (n%:R * expR (m%:R * t)) + c).
have dE k t : is_derive t 1 (fun u => expR (k * u)) (k * expR (k * t)).
  have dk := is_derive_scaled k (is_derive_id t 1).
  apply: is_derive_value (is_derive1_comp (is_derive_expR (k * t)) dk) _.
  by rewrite mulr1 mulrC.
have dG' t : is_derive t 1 G (dG t).
  have dL : is_derive t 1 (fun u => ln n%:R - m%:R / n%:R + m%:R * u) (m%:R : R).
    apply: is_derive_value (is_deriveD (is_derive_const (ln n%:R - m%:R / n%:R) t)
      (is_derive_scaled m%:R (is_derive_id t 1))) _.
    by rewrite add0r mulr1.
  have d := is_deriveD (is_deriveB (is_derive_times (dE n%:R t) dL)
    (is_derive_scaled (ln c + 1) (dE n%:R t))) (is_derive_scaled c (is_derive_expR t)).
  apply: is_derive_value d _; rewrite /dG.
  have -> : expR (n%:R * t) = expR t * expR (m%:R * t).
    by rewrite -expRD natr_n; congr expR; ring.
  move: (ln n%:R) (expR t) (expR (m%:R * t)) (ln c) => L e f l.
  by rewrite natr_n; field.
have dG0 t : 0 <= dG t.
  rewrite mulr_ge0 ?(ltW (expR_gt0 _)) //; set x := n%:R * expR (m%:R * t).
  have x0 : 0 < x by rewrite mulr_gt0 ?expR_gt0.
  have <- : ln x = ln n%:R + m%:R * t by rewrite lnM ?posrE ?expR_gt0 // expK.
  have k : x - c <= x * (ln x - ln c).
    by rewrite -ln_div ?posrE // kl_term_ge ?(ltW x0) ?(ltW c0) // => e; move: c0; rewrite e ltxx.
  by move: k; rewrite -subr_ge0; congr (0 <= _); ring.
have lab : ln a < ln b by rewrite ltr_ln ?posrE.
have [t _ e] := mean_value dG' lab.
have : 0 <= G (ln b) - G (ln a) by rewrite e mulr_ge0 // subr_ge0 ltW.
have EG u : 0 < u -> G (ln u) = potential u - (ln c + 1) * u ^+ n + c * u.
  by move=> u0; rewrite /G /potential expRMm lnK ?posrE //; ring.
rewrite !EG // => {}e; rewrite -subr_ge0; move: e; congr (0 <= _).
have cE : c * (b - a) = b ^+ n - a ^+ n by rewrite divfK // gt_eqF // subr_gt0.
have -> : (b ^+ n - a ^+ n) * ln c = (ln c + 1) * (b ^+ n - a ^+ n) - c * (b - a).
  by rewrite cE; ring.
by ring.
Qed.

(** Theorem 36. Best-of-n strays at most ln n - (n - 1) / n from the reference, for any rewards and
    any ties. *)
Theorem best_of_n_kl : kl best ref <= ln n%:R - n.-1%:R / n%:R.
Proof.
pose h a b := (b ^+ n - a ^+ n) * ln ((b ^+ n - a ^+ n) / (b - a)).
have -> : kl best ref = \sum_(k < #|T|) h (below_rank ref reward k) (below_rank ref reward k.+1).
  rewrite -sum_levels => [|a]; last by rewrite /h subrr mul0r.
  apply: eq_bigr => y _; have [r0|rn] := eqVneq (ref y) 0.
    by rewrite /= r0 !mulr0 mul0r.
  have l0 : level ref reward (reward y) != 0 by apply: contra rn => /eqP /level_eq0 ->.
  rewrite /h /=.
  have -> : at_most ref reward (reward y) - below ref reward (reward y)
    = level ref reward (reward y) by rewrite at_mostE addrC addKr.
  rewrite mulfK // [LHS]mulrAC; congr (_ * _).
  by rewrite mulrAC.
have -> : ln n%:R - m%:R / n%:R = potential 1 - potential 0.
  by rewrite /potential expr1n expr0n gtn_eqF //= ln1 mulr0 addr0 mul1r mul0r subr0.
rewrite -(telescope_levels ref reward); apply: ler_sum => k _.
have := below_rank_le ref reward k; rewrite le_eqVlt => /orP[/eqP <-|ab].
  by rewrite /h !subrr mul0r.
by apply: potential_step ab; apply: below_rank_ge0.
Qed.

End Divergence.

(** An instance of the hypotheses: a fair coin that earns on one side, and the best of two. *)
Example selection_instance (R : realFieldType) (inhabited : (0 < #|{: bool}|)%N) :
  let ref := uniform R inhabited in let reward (y : bool) : R := y%:R in
  [/\ (0 < 2)%N, forall z, reward z <= reward true & 0 < ref true].
Proof. by split=> [//|[]|] /=; rewrite ?ler01 ?lexx // invr_gt0 ltr0n card_bool. Qed.
