(** Divergences between laws: Kullback-Leibler, entropy, chi-squared, and what they bound.

    Theorems 8, 9, 26, 33, 34 and 35. Natural logarithms throughout. The convention
    0 ln 0 = 0 holds because a term is always a mass times a logarithm. Where
    [p] is not supported by [q] the true divergence is infinite and the finite sums
    below mean nothing: every inequality about them assumes [supported p q]. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From mathcomp Require Import boolp classical_sets reals topology normedtype sequences derive exp.
From BanditRlhf Require Import Bandit.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory numFieldNormedType.Exports.
Local Open Scope ring_scope.

Section Calculus.
Variable R : realType.
Implicit Types x y t u : R.

(** The mean value theorem for a function differentiable on the whole line. *)
Lemma mean_value (f df : R -> R) x y : (forall t, is_derive t 1 f (df t)) -> x < y ->
  exists2 t, x < t < y & f y - f x = df t * (y - x).
Proof.
move=> fdf xy.
have cont : {within `[x, y]%classic, continuous f}.
  apply: continuous_subspaceT => t.
  by apply/differentiable_continuous/derivable1_diffP; apply: ex_derive.
have [t txy e] := MVT xy (fun t _ => fdf t) cont.
by exists t; rewrite ?(itvP txy).
Qed.

(** A function whose derivative has the sign of its argument is least at zero. *)
Lemma least_at_zero (f df : R -> R) : (forall t, is_derive t 1 f (df t)) ->
  (forall t, 0 < t -> 0 <= df t) -> (forall t, t < 0 -> df t <= 0) -> forall x, f 0 <= f x.
Proof.
move=> fdf up down x; case: (ltgtP 0 x) => [x0|x0|<- //].
  have [t /andP[t0 _]] := mean_value fdf x0.
  by rewrite -subr_ge0 => ->; rewrite mulr_ge0 ?up // subr_ge0 ltW.
have [t /andP[_ t0]] := mean_value fdf x0.
rewrite sub0r -subr_le0 => ->.
by rewrite mulr_le0_ge0 ?down // oppr_ge0 ltW.
Qed.

(** exp lies strictly above its tangent at zero. *)
Lemma expR_gt1Dx x : x != 0 -> 1 + x < expR x.
Proof.
have d t : is_derive t 1 (@expR R) (expR t) by apply: is_derive_expR.
case: (ltgtP 0 x) => // x0 _; have [t /andP[xt tx]] := mean_value d x0.
  rewrite expR0 subr0 => /(canRL (subrK _)) ->.
  by rewrite addrC ltr_add2r ltr_pmull // expR_gt1.
rewrite expR0 sub0r => e; rewrite -[expR x](subKr 1) e mulrN opprK ltr_add2l.
by rewrite ltr_nmull // expR_lt1.
Qed.

Lemma expR_geD1 x : 1 + x <= expR x.
Proof.
by have [->|/expR_gt1Dx/ltW//] := eqVneq x 0; rewrite addr0 expR0.
Qed.

(** ln lies strictly below its tangent at one. *)
Lemma ln_leB1 t : 0 < t -> ln t <= t - 1.
Proof. by move=> t0; rewrite ler_subr_addl -{2}(lnK t0) expR_geD1. Qed.

Lemma ln_ltB1 t : 0 < t -> t != 1 -> ln t < t - 1.
Proof.
move=> t0 t1; rewrite ltr_subr_addl -{2}(lnK t0) expR_gt1Dx //.
by apply: contra t1 => /eqP l0; rewrite -(lnK t0) l0 expR0.
Qed.

(** The inequality in one variable behind Pinsker's: 3 (t - 1)^2 <= (4 + 2 t) (t ln t - t + 1). *)
Lemma pinsker_scalar t : 0 < t -> 3 * (t - 1) ^+ 2 <= (4 + 2 * t) * (t * ln t - t + 1).
Proof.
move=> t0; have [u ->] : exists u, t = expR u by exists (ln t); rewrite lnK.
rewrite expK {t t0}.
pose g (u : R) := u * expR u + u - 2 * expR u + 2.
have dg v : is_derive v 1 g (v * expR v - expR v + 1).
  rewrite /g; apply: trigger_derive; rewrite /GRing.scale /=; ring.
have dg0 (v : R) : 0 <= v * expR v - expR v + 1.
  have := expR_geD1 (- v); rewrite -(ler_pmul2r (expR_gt0 v)) -expRD addNr expR0.
  by rewrite -subr_ge0; congr (0 <= _); ring.
have g0 : g 0 = 0 by rewrite /g expR0; ring.
have gpos v : 0 < v -> 0 <= g v.
  move=> v0; have [s _] := mean_value dg v0.
  by rewrite g0 subr0 => ->; rewrite mulr_ge0 // subr0 ltW.
have gneg v : v < 0 -> g v <= 0.
  move=> v0; have [s _] := mean_value dg v0.
  rewrite g0 !sub0r => /eqP; rewrite eqr_oppLR => /eqP ->.
  by rewrite oppr_le0 mulr_ge0 // oppr_ge0 ltW.
pose h (v : R) := (4 + 2 * expR v) * (expR v * v - expR v + 1) - 3 * (expR v - 1) ^+ 2.
have dh v : is_derive v 1 h (4 * expR v * g v).
  rewrite /h; apply: trigger_derive; rewrite /g /GRing.scale /=; ring.
rewrite -subr_ge0 -/(h u).
have -> : 0 = h 0 by rewrite /h expR0; ring.
have e0 (v : R) : 0 <= 4 * expR v by apply: mulr_ge0; [exact: ler0n|exact/ltW/expR_gt0].
apply: (least_at_zero dh) => v v0; first exact: mulr_ge0 (e0 v) (gpos v v0).
exact: mulr_ge0_le0 (e0 v) (gneg v v0).
Qed.

End Calculus.

Section Inequalities.
Variable R : realType.
Implicit Types x y : R.

(** One term of KL(p||q) is at least p - q, strictly unless p = q. *)
Lemma kl_term_ge x y : 0 <= x -> 0 <= y -> (y = 0 -> x = 0) -> x - y <= x * ln (x / y).
Proof.
rewrite le_eqVlt => /orP[/eqP<-|x0] y0 yx; first by rewrite mul0r sub0r oppr_le0.
have {}y0 : 0 < y.
  by rewrite lt_def y0 andbT; apply: contraTneq x0 => /yx->; rewrite ltxx.
have := ln_leB1 (divr_gt0 y0 x0); rewrite -[_ <= _ - 1](ler_pmul2l x0) mulrBr mulr1.
rewrite mulrCA divff ?gt_eqF // mulr1 -invf_div lnV ?posrE ?divr_gt0 //.
by rewrite mulrN ler_oppl opprB.
Qed.

Lemma kl_term_gt x y : 0 <= x -> 0 <= y -> (y = 0 -> x = 0) -> x != y ->
  x - y < x * ln (x / y).
Proof.
rewrite le_eqVlt => /orP[/eqP<-|x0] y0 yx xy.
  by rewrite mul0r sub0r oppr_lt0 lt_def eq_sym xy.
have {}y0 : 0 < y.
  by rewrite lt_def y0 andbT; apply: contraTneq x0 => /yx->; rewrite ltxx.
have yx1 : y / x != 1.
  by apply: contra xy => /eqP e; rewrite -[y](divfK (lt0r_neq0 x0)) e mul1r.
have := ln_ltB1 (divr_gt0 y0 x0) yx1; rewrite -[_ < _ - 1](ltr_pmul2l x0) mulrBr mulr1.
rewrite mulrCA divff ?gt_eqF // mulr1 -invf_div lnV ?posrE ?divr_gt0 //.
by rewrite mulrN ltr_oppl opprB.
Qed.

(** Cauchy-Schwarz for finite sums, with the squares given by bounds. *)
Lemma cauchy_schwarz (T : finType) (a b c : T -> R) :
  (forall i, 0 <= b i) -> (forall i, 0 <= c i) -> (forall i, a i ^+ 2 <= b i * c i) ->
  (\sum_i a i) ^+ 2 <= (\sum_i b i) * (\sum_i c i).
Proof.
move=> b0 c0 abc.
have pair i j : a i * a j + a j * a i <= b i * c j + b j * c i.
  have y0 : 0 <= b i * c j + b j * c i by rewrite addr_ge0 // mulr_ge0.
  have [x0|/ltW x0] := lerP (a i * a j + a j * a i) 0; first exact: le_trans y0.
  rewrite -ler_sqr ?nnegrE //.
  have -> : (a i * a j + a j * a i) ^+ 2 = 4 * (a i ^+ 2 * a j ^+ 2) by ring.
  apply: le_trans (_ : 4 * ((b i * c i) * (b j * c j)) <= _).
    by rewrite ler_pmul2l ?ltr0n // ler_pmul ?sqr_ge0.
  rewrite -subr_ge0; have -> : (b i * c j + b j * c i) ^+ 2 - 4 * (b i * c i * (b j * c j))
    = (b i * c j - b j * c i) ^+ 2 by ring.
  exact: sqr_ge0.
have twice (u v : T -> R) :
  2 * ((\sum_i u i) * (\sum_j v j)) = \sum_i \sum_j (u i * v j + u j * v i).
  under [RHS]eq_bigr do rewrite big_split /=.
  by rewrite big_split /= [X in _ + X]exchange_big /= -!big_distrlr -mulr2n mulr_natl.
rewrite -(ler_pmul2l (_ : 0 < 2)) ?ltr0n // expr2 !twice.
by apply: ler_sum => i _; apply: ler_sum => j _; apply: pair.
Qed.

End Inequalities.

Section Divergences.
Variables (R : realType) (T : finType).
Implicit Types (p q : law R T) (f : T -> R).

(** KL(p||q): the sum of p(x) ln (p(x) / q(x)). *)
Definition kl p q : R := \sum_x p x * ln (p x / q x).

(** H(p): minus the sum of p(x) ln p(x). *)
Definition entropy p : R := - \sum_x p x * ln (p x).

(** chi2(p||q): the sum of (p(x) - q(x))^2 / q(x). *)
Definition chi2 p q : R := \sum_x (p x - q x) ^+ 2 / q x.

Lemma eq_kl p p' q q' : p =1 p' -> q =1 q' -> kl p q = kl p' q'.
Proof. by move=> pp qq; apply: eq_bigr => x _; rewrite pp qq. Qed.

Lemma sum_mass_diff p q : \sum_x (p x - q x) = 0.
Proof. by rewrite sumrB !mass_sum1 subrr. Qed.

Lemma supported_gt0 p q x : supported p q -> 0 < p x -> 0 < q x.
Proof.
move=> pq px; rewrite lt_def mass_ge0 andbT.
by apply: contraTneq px => /pq ->; rewrite ltxx.
Qed.

Lemma mass_gt0_ex p : exists x, 0 < p x.
Proof.
have [/existsP//|/existsPn p0] := boolP [exists x, 0 < p x].
have : \sum_x p x = 0.
  apply: big1 => x _; apply/eqP; rewrite eq_le mass_ge0 andbT.
  by have := p0 x; rewrite -leNgt.
by rewrite mass_sum1 => /eqP; rewrite oner_eq0.
Qed.

Lemma positive_supported p q : positive q -> supported p q.
Proof. by move=> q0 x qx; have := q0 x; rewrite qx ltxx. Qed.

(** Theorem 34, first half. KL divergence is never negative. *)
Theorem kl_ge0 p q : supported p q -> 0 <= kl p q.
Proof.
move=> pq; rewrite -(sum_mass_diff p q).
by apply: ler_sum => x _; apply: kl_term_ge; rewrite ?mass_ge0 //; apply: pq.
Qed.

(** Theorem 34, equality. KL divergence is zero exactly when the two laws are the same. *)
Theorem kl_eq0 p q : supported p q -> (kl p q = 0 <-> p =1 q).
Proof.
move=> pq; split=> [kl0 x|pq1]; last first.
  apply: big1 => x _; rewrite pq1; have [->|qx] := eqVneq (q x) 0; first by rewrite mul0r.
  by rewrite divff // ln1 mulr0.
apply/eqP; apply: contraT => px; suff : 0 < kl p q by rewrite kl0 ltxx.
rewrite -(sum_mass_diff p q) /kl (bigD1 x) //= [ltRHS](bigD1 x) //=.
apply: ltr_le_add; first by apply: kl_term_gt; rewrite ?mass_ge0 //; apply: pq.
by apply: ler_sum => y _; apply: kl_term_ge; rewrite ?mass_ge0 //; apply: pq.
Qed.

(** Theorem 34, Pinsker's inequality. The squared L1 distance between two laws is at most
    twice their KL divergence: a policy with small KL to its reference is close to it. *)
Theorem pinsker p q : supported p q -> (\sum_x `|p x - q x|) ^+ 2 <= 2 * kl p q.
Proof.
move=> pq.
have -> : 2 = \sum_x (4 * q x + 2 * p x) / 3.
  rewrite -mulr_suml big_split /= -!mulr_sumr !mass_sum1 !mulr1; by field.
have -> : kl p q = \sum_x (p x * ln (p x / q x) - (p x - q x)).
  by rewrite sumrB sum_mass_diff subr0.
apply: cauchy_schwarz => x.
- by rewrite divr_ge0 ?ler0n // addr_ge0 // mulr_ge0 ?ler0n ?mass_ge0.
- by rewrite subr_ge0 kl_term_ge ?mass_ge0 //; apply: pq.
rewrite real_normK ?num_real // mulrAC ler_pdivl_mulr ?ltr0n // [_ * 3]mulrC.
have [px0|px] := eqVneq (p x) 0.
  rewrite px0 mul0r !sub0r opprK mulr0 addr0 sqrrN -mulrA -expr2.
  by rewrite ler_wpmul2r ?sqr_ge0 // ler_nat.
have p0 : 0 < p x by rewrite lt_def px mass_ge0.
have q0 := supported_gt0 pq p0.
have := pinsker_scalar (divr_gt0 p0 q0); rewrite -(ler_pmul2r (exprn_gt0 2 q0)).
have qn : q x != 0 by rewrite gt_eqF.
set l := ln _; have -> : 3 * (p x / q x - 1) ^+ 2 * q x ^+ 2 = 3 * (p x - q x) ^+ 2 by field.
by congr (_ <= _); field.
Qed.

(** Theorem 33. The chi-squared transfer bound: moving from the reference to the policy
    changes the mean of any function by at most sqrt(chi2(pi||ref) Var_ref f). With f the
    error of a reward model it bounds what the policy gains from that error. *)
Theorem chi2_transfer (pi ref : law R T) f : supported pi ref ->
  `|mean pi f - mean ref f| <= Num.sqrt (chi2 pi ref * variance ref f).
Proof.
move=> pq; rewrite -sqrtr_sqr ler_wsqrtr //.
have -> : mean pi f - mean ref f = \sum_x (pi x - ref x) * (f x - mean ref f).
  under eq_bigr do rewrite mulrBr mulrBl.
  by rewrite !sumrB -mulr_suml sum_mass_diff mul0r subr0.
apply: cauchy_schwarz => x.
- by rewrite divr_ge0 ?sqr_ge0 ?mass_ge0.
- by rewrite mulr_ge0 ?sqr_ge0 ?mass_ge0.
have [q0|qx] := eqVneq (ref x) 0.
  by rewrite (pq x q0) q0 subrr !mul0r expr0n mulr0.
by rewrite le_eqVlt; apply/orP; left; apply/eqP; field.
Qed.

End Divergences.

Section Tilting.
Variables (R : realType) (T : finType).
Implicit Types (p q : law R T) (f : T -> R).

(** The mean of exp f under [q]: the normaliser of the tilt. *)
Definition partition q f : R := \sum_x q x * expR (f x).

Lemma partition_gt0 q f : 0 < partition q f.
Proof.
have [x qx] := mass_gt0_ex q; rewrite /partition (bigD1 x) //=.
rewrite ltr_paddr ?mulr_gt0 ?expR_gt0 //.
by apply: sumr_ge0 => y _; rewrite mulr_ge0 ?mass_ge0 // ltW ?expR_gt0.
Qed.

Lemma tilt_ge0 q f x : 0 <= q x * expR (f x) / partition q f.
Proof.
by rewrite divr_ge0 ?mulr_ge0 ?mass_ge0 // ltW ?expR_gt0 ?partition_gt0.
Qed.

Lemma tilt_sum1 q f : \sum_x q x * expR (f x) / partition q f = 1.
Proof. by rewrite -mulr_suml divff // gt_eqF ?partition_gt0. Qed.

(** The tilt of [q] by [f]: proportional to q(x) exp f(x). *)
Definition tilt q f : law R T := Law (tilt_ge0 q f) (tilt_sum1 q f).

Lemma supported_tilt p q f : supported p q -> supported p (tilt q f).
Proof.
move=> pq x /eqP; rewrite /= mulf_eq0 invr_eq0 (gt_eqF (partition_gt0 q f)) orbF.
by rewrite mulf_eq0 (gt_eqF (expR_gt0 _)) orbF => /eqP /pq.
Qed.

Lemma tilt_supported q f : supported (tilt q f) q.
Proof. by move=> x /= ->; rewrite !mul0r. Qed.

Lemma eq_tilt q f g : f =1 g -> tilt q f =1 tilt q g.
Proof.
by move=> fg x; rewrite /= /partition fg; congr (_ / _); apply: eq_bigr => y _; rewrite fg.
Qed.

(** The divergence from a tilt, in terms of the divergence from what is tilted. *)
Lemma kl_tilt p q f : supported p q ->
  kl p (tilt q f) = kl p q - mean p f + ln (partition q f).
Proof.
move=> pq; have Z0 := partition_gt0 q f.
rewrite -(mul1r (ln _)) -(mass_sum1 p) mulr_suml /kl /mean -sumrB -big_split /=.
apply: eq_bigr => x _; have [->|px] := eqVneq (p x) 0; first by rewrite !mul0r subrr addr0.
have p0 : 0 < p x by rewrite lt_def px mass_ge0.
have q0 := supported_gt0 pq p0; have e0 := expR_gt0 (f x).
rewrite !ln_div ?posrE ?divr_gt0 ?mulr_gt0 // lnM ?posrE // expK; ring.
Qed.

(** Theorem 35, Donsker and Varadhan's inequality. Under any law supported by [q], the mean of
    [f] is at most the divergence from [q] plus the log of the mean of exp f under [q]. *)
Theorem donsker_varadhan p q f : supported p q ->
  mean p f <= kl p q + ln (\sum_x q x * expR (f x)).
Proof.
move=> pq; rewrite -subr_ge0 addrAC -/(partition q f) -kl_tilt //.
exact/kl_ge0/supported_tilt.
Qed.

(** Theorem 35, equality. Donsker and Varadhan's bound is reached by the tilt and nothing else. *)
Theorem donsker_varadhan_eq p q f : supported p q ->
  (mean p f = kl p q + ln (\sum_x q x * expR (f x)) <-> p =1 tilt q f).
Proof.
move=> pq; rewrite -(kl_eq0 (@supported_tilt p q f pq)) kl_tilt // -/(partition q f).
split=> [->|/eqP]; first by ring.
by rewrite addrAC subr_eq0 eq_sym => /eqP.
Qed.

(** [f] is sub-Gaussian under [q] with scale [sigma]. *)
Definition sub_gaussian q f (sigma : R) : Prop := forall l : R,
  ln (\sum_x q x * expR (l * (f x - mean q f))) <= l ^+ 2 * sigma ^+ 2 / 2.

(** Theorem 35, sub-Gaussian gain. If the reward is sub-Gaussian under the reference with
    scale sigma, no policy gains more than sigma sqrt(2 KL(pi||ref)) of it. *)
Theorem sub_gaussian_gain (pi ref : law R T) (reward : T -> R) sigma :
  0 < sigma -> supported pi ref -> sub_gaussian ref reward sigma ->
  mean pi reward - mean ref reward <= sigma * Num.sqrt (2 * kl pi ref).
Proof.
move=> s0 pq sg; have k0 := kl_ge0 pq; set k := kl pi ref in k0 *.
have [kz|kn] := eqVneq k 0.
  have e := (kl_eq0 pq).1 kz; rewrite kz mulr0 sqrtr0 mulr0.
  by rewrite subr_le0 /mean; under eq_bigr do rewrite e.
have d0 : 0 < Num.sqrt (2 * k) by rewrite sqrtr_gt0 mulr_gt0 ?ltr0n // lt_def kn.
set d := Num.sqrt (2 * k) in d0 *.
have dk : k = d ^+ 2 / 2 by rewrite sqr_sqrtr ?mulr_ge0 ?ler0n //; field.
pose l := d / sigma; have l0 : 0 < l by rewrite divr_gt0.
rewrite -(ler_pmul2l l0).
have -> : l * (mean pi reward - mean ref reward)
    = mean pi (fun x => l * (reward x - mean ref reward)).
  by rewrite meanZ meanB mean_const.
apply: le_trans (donsker_varadhan _ pq) _; apply: le_trans (_ : k + l ^+ 2 * sigma ^+ 2 / 2 <= _).
  by rewrite ler_add2l.
rewrite le_eqVlt; apply/orP; left; apply/eqP; rewrite dk /l; field.
by rewrite gt_eqF.
Qed.

End Tilting.

(** The hypotheses above can be met: a tilt lives where what it tilts does ([tilt_supported]), and
    a constant reward is sub-Gaussian with any scale. *)
Example sub_gaussian_instance (R : realType) (T : finType) (q : law R T) (c sigma : R) :
  sub_gaussian q (fun _ => c) sigma.
Proof.
move=> l; under eq_bigr do rewrite mean_const subrr mulr0 expR0 mulr1.
by rewrite mass_sum1 ln1 divr_ge0 ?ler0n // mulr_ge0 ?sqr_ge0.
Qed.
