(** The Gibbs law: the optimum of reward less KL, and what follows from its form.

    Theorems 10, 12, 13, 14, 15 and 25. A policy is compared with the reference only where
    KL(pi||ref) is finite: [supported pi ref]. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From mathcomp Require Import boolp classical_sets reals topology normedtype sequences derive.
From mathcomp Require Import realfun exp.
From BanditRlhf Require Import Bandit Divergence Softmax.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory numFieldNormedType.Exports.
Local Open Scope ring_scope.

Section Gibbs.
Variables (R : realType) (T : finType).
Implicit Types (pi ref p q : law R T) (r f g : T -> R) (beta tau eta : R).

(** Two tilts in a row are one tilt by the sum. *)
Lemma tilt_tilt q f g : tilt (tilt q f) g =1 tilt q (fun y => f y + g y).
Proof.
move=> y; have Zf := partition_gt0 q f; have Zg := partition_gt0 (tilt q f) g.
have e : partition (tilt q f) g * partition q f = partition q (fun y => f y + g y).
  rewrite /partition mulr_suml; apply: eq_bigr => z _; rewrite expRD /= mulrAC divfK ?mulrA //.
  by rewrite gt_eqF.
rewrite /= -e expRD; move: Zf Zg.
move: (partition q f) (partition (tilt q f) g) => a b a0 b0; field.
by rewrite !gt_eqF.
Qed.

Lemma tilt_const q f c : tilt q (fun y => f y + c) =1 tilt q f.
Proof.
move=> y; have Z0 := partition_gt0 q f; have e0 := expR_gt0 c.
have -> : tilt q (fun y => f y + c) y = q y * expR (f y + c) / partition q (fun y => f y + c) by [].
have -> : partition q (fun y => f y + c) = partition q f * expR c.
  by rewrite /partition mulr_suml; apply: eq_bigr => z _; rewrite expRD mulrA.
rewrite expRD /=; move: Z0 e0; move: (partition q f) (expR c) => a b a0 b0; field.
by rewrite !gt_eqF.
Qed.

Lemma tilt0 q f : f =1 (fun=> 0) -> tilt q f =1 q.
Proof.
move=> f0 y; rewrite /= /partition; under eq_bigr do rewrite f0 expR0 mulr1.
by rewrite mass_sum1 f0 expR0 mulr1 divr1.
Qed.

Lemma eq_tilt_law q q' f : q =1 q' -> tilt q f =1 tilt q' f.
Proof.
move=> qq y; rewrite /= /partition qq; congr (_ / _).
by apply: eq_bigr => z _; rewrite qq.
Qed.

Lemma tilt_eq0 q f y : tilt q f y = 0 <-> q y = 0.
Proof.
split=> [|/= ->]; last by rewrite !mul0r.
move=> /eqP; rewrite /= mulf_eq0 invr_eq0 (gt_eqF (partition_gt0 q f)) orbF.
by rewrite mulf_eq0 (gt_eqF (expR_gt0 _)) orbF => /eqP.
Qed.

(** The Gibbs law of reward [r] at temperature [beta]: proportional to ref(y) exp(r(y) / beta). *)
Definition gibbs ref r beta : law R T := tilt ref (fun y => r y / beta).

(** Theorem 10. The reward less beta times the divergence from the reference is a constant,
    beta ln Z, less beta times the divergence from the Gibbs law. *)
Theorem gibbs_identity pi ref r beta : beta != 0 -> supported pi ref ->
  mean pi r - beta * kl pi ref
    = beta * ln (\sum_y ref y * expR (r y / beta)) - beta * kl pi (gibbs ref r beta).
Proof.
move=> b0 pq; rewrite -/(partition ref _) kl_tilt //.
have -> : mean pi (fun y => r y / beta) = mean pi r / beta.
  by rewrite mulrC -meanZ; apply: eq_mean => y; rewrite mulrC.
by field.
Qed.

(** Theorem 10, the optimum. No policy has a higher regularised value than beta ln Z. *)
Theorem gibbs_upper_bound pi ref r beta : 0 < beta -> supported pi ref ->
  mean pi r - beta * kl pi ref <= beta * ln (\sum_y ref y * expR (r y / beta)).
Proof.
move=> b0 pq; rewrite gibbs_identity ?gt_eqF // ler_subl_addr ler_addl.
by rewrite mulr_ge0 ?(ltW b0) // kl_ge0 //; apply: supported_tilt.
Qed.

(** Theorem 10, uniqueness. The Gibbs law reaches beta ln Z, and no other policy does. *)
Theorem gibbs_unique pi ref r beta : 0 < beta -> supported pi ref ->
  (mean pi r - beta * kl pi ref = beta * ln (\sum_y ref y * expR (r y / beta))
   <-> pi =1 gibbs ref r beta).
Proof.
move=> b0 pq; rewrite gibbs_identity ?gt_eqF //.
rewrite -(kl_eq0 (@supported_tilt _ _ pi ref (fun y => r y / beta) pq)) -/(gibbs ref r beta).
split=> [/eqP|->]; last by rewrite mulr0 subr0.
by rewrite -subr_eq0 addrAC subrr add0r oppr_eq0 mulf_eq0 gt_eqF //= => /eqP.
Qed.

(** Theorem 10, value of the optimum. *)
Theorem gibbs_value ref r beta : 0 < beta ->
  mean (gibbs ref r beta) r - beta * kl (gibbs ref r beta) ref
    = beta * ln (\sum_y ref y * expR (r y / beta)).
Proof. by move=> b0; apply/gibbs_unique => //; apply: tilt_supported. Qed.

(** Theorem 12. The log-ratio of the Gibbs law to its reference gives back the reward, up to one
    constant: differences of rewards are beta times differences of log-ratios. *)
Theorem dpo_inversion ref r beta y y' : 0 < beta -> 0 < ref y -> 0 < ref y' ->
  r y - r y' = beta * (ln (gibbs ref r beta y / ref y) - ln (gibbs ref r beta y' / ref y')).
Proof.
move=> b0 y0 y'0.
have e z : 0 < ref z -> ln (gibbs ref r beta z / ref z)
    = r z / beta - ln (partition ref (fun y => r y / beta)).
  move=> z0; have Z0 := partition_gt0 ref (fun y => r y / beta).
  have -> : gibbs ref r beta z / ref z = expR (r z / beta) / partition ref (fun y => r y / beta).
    by rewrite /=; move: (partition _ _) Z0 => Z Z0; field; rewrite !gt_eqF.
  by rewrite ln_div ?posrE ?expR_gt0 ?partition_gt0 // expK.
rewrite !e //; move: (ln (partition _ _)) => l; field.
by rewrite gt_eqF.
Qed.

(** Theorem 12, converse. Every policy with the reference's support is the Gibbs law of its own
    implicit reward, beta ln(pi / ref): nothing is lost by writing a reward as a log-ratio. *)
Theorem dpo_reparametrisation pi ref beta : 0 < beta ->
  (forall y, pi y = 0 <-> ref y = 0) ->
  gibbs ref (fun y => beta * ln (pi y / ref y)) beta =1 pi.
Proof.
move=> b0 same.
have e y : ref y * expR (beta * ln (pi y / ref y) / beta) = pi y.
  rewrite mulrAC divff ?gt_eqF // mul1r.
  have [r0|rn] := eqVneq (ref y) 0; first by rewrite r0 mul0r (same y).2.
  have p0 : 0 < pi y.
    by rewrite lt_def mass_ge0 andbT; apply: contra rn => /eqP /(same y).1 ->.
  have r0 : 0 < ref y by rewrite lt_def rn mass_ge0.
  by rewrite lnK ?posrE ?divr_gt0 // mulrC divfK.
by move=> y; rewrite /= /partition; under eq_bigr do rewrite e; rewrite mass_sum1 divr1 e.
Qed.

(** Theorem 13. A constant added to the rewards of a prompt, another for each prompt, leaves its
    optimal policy alone: comparisons within prompts need not fix it. *)
Theorem prompt_shift_invariance (X : Type) (ref : X -> law R T) (r : X -> T -> R) (c : X -> R)
    beta (x : X) :
  gibbs (ref x) (fun y => r x y + c x) beta =1 gibbs (ref x) (r x) beta.
Proof.
move=> y; rewrite -[RHS](@tilt_const (ref x) (fun y => r x y / beta) (c x / beta)).
by apply: eq_tilt => z; rewrite mulrDl.
Qed.

(** Theorem 13, values. The constant moves every policy's value by itself, so it moves no
    difference between policies. *)
Theorem shift_moves_all_values pi ref r c beta :
  mean pi (fun y => r y + c) - beta * kl pi ref = (mean pi r - beta * kl pi ref) + c.
Proof. by rewrite meanD mean_const addrAC. Qed.

(** One step of mirror descent from [p], the multiplicative-weights step: proportional to
    p(y) exp(eta r(y)). By theorem 10 it maximises E r - KL(pi||p) / eta. *)
Definition mirror_step r eta p : law R T := gibbs p r eta^-1.

Lemma mirror_stepE r eta p : mirror_step r eta p =1 tilt p (fun y => eta * r y).
Proof. by apply: eq_tilt => y; rewrite invrK mulrC. Qed.

(** Theorem 14. The path of optimisation is the path of Gibbs laws: [n] steps of size eta from the
    reference are the tilt by n eta r, the Gibbs law at beta = 1 / (n eta). To stop early is to
    pay for divergence. (After no step both sides are the reference: 1/0 is 0 here.) *)
Theorem mirror_path ref r eta n :
  iter n (mirror_step r eta) ref =1 gibbs ref r (n%:R * eta)^-1.
Proof.
elim: n => [|n IH] y.
  by rewrite /gibbs mul0r [RHS]tilt0 // => z; rewrite !invr0 mulr0.
rewrite iterS mirror_stepE (eq_tilt_law _ IH) tilt_tilt.
by apply: eq_tilt => z; rewrite !invrK mulrS; ring.
Qed.

(** Theorem 14, in continuous time. Along the tilts of the reference by u r the log-probability of
    each action grows by its advantage, r(y) - E r: the flow of natural policy gradient. *)
Theorem gibbs_flow ref r t y :
  is_derive t 1 (fun u => tilt ref (fun y => u * r y) y : R)
    (tilt ref (fun y => t * r y) y * (r y - mean (tilt ref (fun y => t * r y)) r)).
Proof.
apply: (@tilt_moves _ _ ref (fun u z => u * r z)) => z.
have := is_derive_times (is_derive_id t 1) (is_derive_const (r z) t).
by rewrite mul1r mulr0 addr0.
Qed.

(** Theorem 25. The Gibbs law writes exactly what its reference writes: tilting finds no string
    that was never drawn, and loses none. *)
Theorem gibbs_support ref r beta y : gibbs ref r beta y = 0 <-> ref y = 0.
Proof. exact: tilt_eq0. Qed.

(** Theorem 25, steps. Any number of steps of mirror descent, each with a reward and a size of its
    own, keep the support. *)
Theorem steps_support (steps : seq ((T -> R) * R)) ref y :
  foldl (fun p s => mirror_step s.1 s.2 p) ref steps y = 0 <-> ref y = 0.
Proof.
elim: steps ref => [|s steps IH] ref /=; first by [].
by rewrite IH; apply: gibbs_support.
Qed.

(** Theorem 25, gradients. An action that is never drawn gets no gradient, in its own logit. *)
Theorem gradient_off_support pi f a : pi a = 0 -> gradient pi f a = 0.
Proof. by rewrite /gradient => ->; rewrite mul0r. Qed.

(** The optimum with an entropy bonus, as the tilt of the reference by
    (r - tau ln ref) / (beta + tau); see [gibbs_entropy_closed_form]. *)
Definition gibbs_entropy ref r beta tau : law R T :=
  gibbs ref (fun y => r y - tau * ln (ref y)) (beta + tau).

Lemma kl_entropy pi ref : supported pi ref ->
  kl pi ref = - entropy pi - mean pi (fun y => ln (ref y)).
Proof.
move=> pq; rewrite /entropy opprK /mean -sumrB; apply: eq_bigr => y _.
have [->|py] := eqVneq (pi y) 0; first by rewrite !mul0r subrr.
have p0 : 0 < pi y by rewrite lt_def py mass_ge0.
by rewrite ln_div ?posrE ?(supported_gt0 pq p0) // mulrBr.
Qed.

(** Theorem 15. With a KL penalty and an entropy bonus the optimum is
    ref^(beta/(beta+tau)) exp(r/(beta+tau)) / Z: the bonus flattens the reference too. *)
Theorem gibbs_entropy_closed_form ref r beta tau y : 0 < beta + tau -> positive ref ->
  gibbs_entropy ref r beta tau y
    = exp_fun (ref y) (beta / (beta + tau)) * expR (r y / (beta + tau))
      / \sum_z exp_fun (ref z) (beta / (beta + tau)) * expR (r z / (beta + tau)).
Proof.
move=> s0 ref0.
have e z : ref z * expR ((r z - tau * ln (ref z)) / (beta + tau))
    = exp_fun (ref z) (beta / (beta + tau)) * expR (r z / (beta + tau)).
  rewrite -{1}(lnK (ref0 z)) /exp_fun -!expRD; congr expR; field.
  by rewrite gt_eqF.
by rewrite /= /partition e; congr (_ / _); apply: eq_bigr => z _; rewrite e.
Qed.

(** Theorem 15, the identity. The doubly regularised value of any policy is (beta + tau) ln Z less
    (beta + tau) times its divergence from that optimum. *)
Theorem gibbs_entropy_identity pi ref r beta tau : 0 < beta + tau -> supported pi ref ->
  mean pi r - beta * kl pi ref + tau * entropy pi
    = (beta + tau) * ln (\sum_y ref y * expR ((r y - tau * ln (ref y)) / (beta + tau)))
      - (beta + tau) * kl pi (gibbs_entropy ref r beta tau).
Proof.
by move=> s0 pq; rewrite -gibbs_identity ?gt_eqF // meanB meanZ kl_entropy //; ring.
Qed.

(** Theorem 15, uniqueness. That law reaches (beta + tau) ln Z, no policy exceeds it, and no other
    policy reaches it. *)
Theorem gibbs_entropy_unique pi ref r beta tau : 0 < beta + tau -> supported pi ref ->
  let top := (beta + tau) * ln (\sum_y ref y * expR ((r y - tau * ln (ref y)) / (beta + tau))) in
  mean pi r - beta * kl pi ref + tau * entropy pi <= top
  /\ (mean pi r - beta * kl pi ref + tau * entropy pi = top <-> pi =1 gibbs_entropy ref r beta tau).
Proof.
move=> s0 pq /=; rewrite gibbs_entropy_identity // -gibbs_identity ?gt_eqF //.
by split; [apply: gibbs_upper_bound|apply: gibbs_unique].
Qed.

End Gibbs.

Section NaturalGradient.
Variables (R : realType) (T : finType).
Hypothesis inhabited : (0 < #|T|)%N.
Implicit Types (theta r : T -> R) (eta : R).
Local Notation softmax := (softmax inhabited).

(** The Fisher matrix of a law in its logits: the mean product of two scores. *)
Definition fisher (pi : law R T) a b : R := mean pi (fun y => score pi a y * score pi b y).

Lemma fisherE (pi : law R T) a b : fisher pi a b = (a == b)%:R * pi a - pi a * pi b.
Proof.
rewrite /fisher mean_score /gradient score_mean_zero subr0 /score [b == a]eq_sym.
by have [->|_] := eqVneq a b; rewrite /=; ring.
Qed.

(** Theorem 14, the direction. The advantages solve the equation of natural policy gradient: the
    Fisher matrix takes r - J to the policy gradient. *)
Theorem natural_gradient (pi : law R T) r a :
  \sum_b fisher pi a b * (r b - mean pi r) = gradient pi r a.
Proof.
rewrite -mean_score /mean; under eq_bigr do rewrite mulr_suml.
rewrite exchange_big /=.
have e y : \sum_b score pi b y * (r b - mean pi r) = r y - mean pi r.
  rewrite /score; under eq_bigr do rewrite mulrBl.
  rewrite sumrB [X in _ - X](_ : _ = 0) ?subr0; last first.
    rewrite -/(mean pi (fun b => r b - mean pi r)) meanB mean_const subrr //.
  rewrite (bigD1 y) //= eqxx mul1r big1 ?addr0 // => b /negbTE.
  by rewrite eq_sym => ->; rewrite mul0r.
transitivity (mean pi (fun y => score pi a y * (r y - mean pi r))).
  by apply: eq_bigr => y _; rewrite -e !mulr_sumr; apply: eq_bigr => b _; rewrite -!mulrA.
under eq_mean do rewrite mulrBr.
rewrite meanB [X in _ - X](_ : _ = 0) ?subr0; last first.
  under eq_mean do rewrite mulrC.
  by rewrite meanZ score_mean_zero mulr0.
by apply: eq_mean => y; rewrite mulrC.
Qed.

(** One step of natural policy gradient: each logit moves by eta times its advantage. *)
Definition natural_step r eta theta : T -> R :=
  fun y => theta y + eta * (r y - mean (softmax theta) r).

(** Theorem 14, natural policy gradient. [n] steps of natural policy gradient from any logits are
    the Gibbs law of the first policy at beta = 1 / (n eta), exactly, for steps of any size. *)
Theorem natural_gradient_path r eta theta n :
  softmax (iter n (natural_step r eta) theta) =1 gibbs (softmax theta) r (n%:R * eta)^-1.
Proof.
move=> y; rewrite -mirror_path; elim: n y => [//|n IH] y.
have unit z th : softmax th z = tilt (uniform R inhabited) th z by exact: softmax_eq_tilt.
rewrite !iterS mirror_stepE -(eq_tilt_law _ IH).
move: (iter n _ theta) => th; rewrite (eq_tilt_law _ (unit^~ th)) tilt_tilt unit.
rewrite -[RHS](@tilt_const _ _ _ _ (- (eta * mean (softmax th) r))).
by apply: eq_tilt => z; rewrite /natural_step; ring.
Qed.

End NaturalGradient.

Section Instance.
Variable R : realType.

Lemma bool_inhabited : (0 < #|{: bool}|)%N.
Proof. by rewrite card_bool. Qed.

(** An instance of all hypotheses of this file: the fair coin as reference, any softmax law as
    policy, beta = tau = 1. *)
Example gibbs_instance (theta : bool -> R) :
  let ref := uniform R bool_inhabited in let pi := softmax bool_inhabited theta in
  [/\ (0 : R) < 1, (0 : R) < 1 + 1, positive ref, supported pi ref
    & forall y, pi y = 0 <-> ref y = 0].
Proof.
move=> ref pi; have ref0 : positive ref by move=> y; rewrite invr_gt0 ltr0n card_bool.
have pi0 : positive pi by exact: softmax_positive.
split; rewrite ?addr_gt0 ?ltr01 //; first exact: positive_supported.
by move=> y; split=> e; [have := pi0 y|have := ref0 y]; rewrite e ltxx.
Qed.

End Instance.
