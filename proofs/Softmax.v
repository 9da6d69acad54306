(** Softmax laws, their derivatives, and the score.

    Theorems 1 and 39. Derivatives are taken here, once, with [is_derive]; everything
    after this file is finite algebra with the score that they give. Two settings:
    - moving one logit a of a softmax law, whose score is 1[y = a] - pi(a);
    - moving any one parameter of any law that is differentiable in it (a token's logit,
      a weight of a network), whose score is the derivative of ln pi(y). *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From mathcomp Require Import boolp classical_sets reals topology normedtype sequences derive.
From mathcomp Require Import realfun exp.
From BanditRlhf Require Import Bandit Divergence.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory numFieldNormedType.Exports.
Local Open Scope ring_scope.

Section Score.
Variables (R : realFieldType) (T : finType).
Implicit Types (pi : law R T) (f : T -> R) (a y : T).

(** The score of action [a] at a draw [y]: 1[y = a] - pi(a). It is the derivative of
    ln pi(y) in the logit of [a] (see [log_softmax_partial]). *)
Definition score pi a y : R := (y == a)%:R - pi a.

(** The policy gradient of the mean of [f], in the logit of [a]: pi(a) (f(a) - J), with J the
    mean of [f] (see [mean_softmax_partial]). *)
Definition gradient pi f a : R := pi a * (f a - mean pi f).

Lemma mean_indicator pi f a : mean pi (fun y => f y * (y == a)%:R) = pi a * f a.
Proof.
rewrite /mean (bigD1 a) //= eqxx mulr1 big1 ?addr0 // => y /negbTE ->.
by rewrite !mulr0.
Qed.

(** Theorem 1. The score has mean zero: whatever a draw does to the log-probability of its
    action is undone, on average, by what it does to the others. *)
Theorem score_mean_zero pi a : mean pi (score pi a) = 0.
Proof.
rewrite meanB mean_const -[X in X - _](_ : mean pi (fun y => 1 * (y == a)%:R) = _).
  by rewrite mean_indicator mulr1 subrr.
by apply: eq_mean => y; rewrite mul1r.
Qed.

(** Theorem 1, with a reward (REINFORCE). The mean of [f] times the score is the policy
    gradient. *)
Theorem mean_score pi f a : mean pi (fun y => f y * score pi a y) = gradient pi f a.
Proof.
under eq_mean do rewrite mulrBr.
rewrite meanB mean_indicator; under [X in _ - X]eq_mean do rewrite mulrC.
by rewrite meanZ /gradient mulrBr.
Qed.

Lemma sum_gradient pi f : \sum_a gradient pi f a = 0.
Proof.
rewrite /gradient; under eq_bigr do rewrite mulrBr.
by rewrite sumrB -mulr_suml mass_sum1 mul1r subrr.
Qed.

(** Theorem 39, squared and sharper. The squared length of the softmax policy gradient is at
    most the largest probability times the variance of the reward. *)
Theorem softmax_gradient_sqr_bound pi f c : (forall y, pi y <= c) ->
  \sum_a gradient pi f a ^+ 2 <= c * variance pi f.
Proof.
move=> pic; rewrite /variance /mean mulr_sumr; apply: ler_sum => a _.
rewrite /gradient -/(mean pi f) exprMn expr2 [leRHS]mulrA.
by rewrite ler_wpmul2r ?sqr_ge0 // ler_wpmul2r ?mass_ge0.
Qed.

End Score.

(** Theorem 39. The softmax policy gradient is no longer than the reward's standard deviation
    under the policy: where all draws earn the same, there is nothing to climb. *)
Theorem softmax_gradient_bound (R : rcfType) (T : finType) (pi : law R T) (f : T -> R) :
  Num.sqrt (\sum_a gradient pi f a ^+ 2) <= Num.sqrt (variance pi f).
Proof.
apply: ler_wsqrtr; rewrite -[variance pi f]mul1r.
by apply: softmax_gradient_sqr_bound => y; apply: mass_le1.
Qed.

Section Derivatives.
Variables (R : realType) (T : finType).
Implicit Types (t u : R) (f : T -> R).

Lemma is_derive_sum_over (F : T -> R -> R) t (dF : T -> R) :
  (forall y, is_derive t 1 (F y) (dF y)) ->
  is_derive t 1 (fun u => \sum_y F y u) (\sum_y dF y).
Proof.
move=> dFy; elim: (index_enum T) => [|y s IH].
  rewrite big_nil; under boolp.eq_fun do rewrite big_nil; exact: is_derive_cst.
rewrite big_cons; under boolp.eq_fun do rewrite big_cons; exact: is_deriveD.
Qed.

Lemma is_derive_eq_fun (f g : R -> R) t d : f =1 g -> is_derive t 1 f d -> is_derive t 1 g d.
Proof. by move=> /boolp.funext ->. Qed.

Lemma is_derive_value (f : R -> R) t d d' : is_derive t 1 f d -> d = d' -> is_derive t 1 f d'.
Proof. by move=> ? <-. Qed.

Lemma is_derive_const (c : R) t : is_derive t 1 (fun=> c) 0.
Proof. exact: is_derive_cst. Qed.

Lemma is_derive_log (g : R -> R) t d : 0 < g t -> is_derive t 1 g d ->
  is_derive t 1 (fun u => ln (g u)) (d / g t).
Proof.
by move=> g0 dg; rewrite mulrC; apply: is_derive1_comp (is_derive1_ln g0) dg.
Qed.

Lemma is_derive_scaled (g : R -> R) t c d : is_derive t 1 g d ->
  is_derive t 1 (fun u => c * g u) (c * d).
Proof. by move=> dg; apply: (is_deriveZ c dg). Qed.

Lemma is_derive_times (f g : R -> R) t df dg : is_derive t 1 f df -> is_derive t 1 g dg ->
  is_derive t 1 (fun u => f u * g u) (df * g t + f t * dg).
Proof.
move=> f' g'; have := is_deriveM f' g'.
by rewrite /GRing.scale /= addrC [g t * df]mulrC.
Qed.

(** The family of laws [pi] moves at the parameter [t] with slopes [dpi]: for every y, pi_u(y) is
    differentiable in u at t, with derivative dpi(y). *)
Definition moves (pi : R -> law R T) t (dpi : T -> R) : Prop :=
  forall y, is_derive t 1 (fun u => pi u y : R) (dpi y).

Section Moving.
Variables (pi : R -> law R T) (t : R) (dpi : T -> R).
Hypotheses (pi_moves : moves pi t dpi) (pi_positive : positive (pi t)).

(** The score in the parameter: (d pi_t(y) / dt) / pi_t(y). *)
Definition moving_score y : R := dpi y / pi t y.

(** Theorem 1, what the score is, for any parameter: the derivative of ln pi_t(y). *)
Theorem log_moves y : is_derive t 1 (fun u => ln (pi u y)) (moving_score y).
Proof. exact/is_derive_log/pi_moves. Qed.

Lemma mass_moving_score y : pi t y * moving_score y = dpi y.
Proof. by rewrite mulrC divfK // gt_eqF. Qed.

Lemma sum_slopes : \sum_y dpi y = 0.
Proof.
have d := is_derive_sum_over pi_moves.
have c : is_derive t 1 (fun u => \sum_y (pi u y : R)) 0.
  by apply: is_derive_eq_fun (is_derive_cst 1 t 1) => u; rewrite mass_sum1.
by rewrite -(@derive_val _ _ _ _ _ _ _ d) (@derive_val _ _ _ _ _ _ _ c).
Qed.

(** Theorem 1, for any parameter. Whatever parameter moves a policy, the score has mean zero. *)
Theorem moving_score_mean_zero : mean (pi t) moving_score = 0.
Proof. by rewrite /mean; under eq_bigr do rewrite mass_moving_score; apply: sum_slopes. Qed.

(** Theorem 1, with a reward (REINFORCE), for any parameter. The derivative of the mean of [f] is
    the mean of [f] times the score. *)
Theorem mean_moves f :
  is_derive t 1 (fun u => mean (pi u) f) (mean (pi t) (fun y => f y * moving_score y)).
Proof.
apply: is_derive_value.
  apply: (is_derive_sum_over (F := fun y u => pi u y * f y)) => y.
  exact: is_derive_times (pi_moves y) (is_derive_cst (f y) t 1).
by apply: eq_bigr => y _; rewrite mulr0 addr0 mulrCA mass_moving_score mulrC.
Qed.

(** Theorem 39, for any parameter. The squared derivative of the mean of [f] is at most the
    variance of [f] times the mean squared score (the Fisher information). *)
Theorem moving_gradient_bound f :
  mean (pi t) (fun y => f y * moving_score y) ^+ 2
    <= variance (pi t) f * mean (pi t) (fun y => moving_score y ^+ 2).
Proof.
have -> : mean (pi t) (fun y => f y * moving_score y)
    = mean (pi t) (fun y => (f y - mean (pi t) f) * moving_score y).
  under [RHS]eq_mean do rewrite mulrBl.
  by rewrite meanB meanZ moving_score_mean_zero mulr0 subr0.
apply: cauchy_schwarz => y.
- by rewrite mulr_ge0 ?mass_ge0 // sqr_ge0.
- by rewrite mulr_ge0 ?mass_ge0 // sqr_ge0.
by rewrite le_eqVlt; apply/orP; left; apply/eqP; ring.
Qed.

End Moving.

(** Theorem 1, tilts. A tilt q exp(f_u) / Z_u moves with slopes pi(y) (df(y) - E_pi df): the score
    is df less its mean. *)
Theorem tilt_moves (q : law R T) (f : R -> T -> R) t (df : T -> R) :
  (forall y, is_derive t 1 (fun u => f u y) (df y)) ->
  moves (fun u => tilt q (f u)) t
    (fun y => tilt q (f t) y * (df y - mean (tilt q (f t)) df)).
Proof.
move=> dfy y /=.
have dw z : is_derive t 1 (fun u => q z * expR (f u z)) (q z * (expR (f t z) * df z)).
  by apply: is_derive_scaled; apply: (is_derive1_comp (is_derive_expR _) (dfy z)).
have dZ := is_derive_sum_over dw.
have Zn : \sum_z q z * expR (f t z) != 0 by rewrite gt_eqF // partition_gt0.
refine (is_derive_value (is_derive_times (dw y) (is_deriveV Zn dZ)) _).
rewrite /mean /= /GRing.scale /=.
have -> : \sum_z q z * expR (f t z) / partition q (f t) * df z
  = (\sum_z q z * (expR (f t z) * df z)) / partition q (f t).
  by rewrite mulr_suml; apply: eq_bigr => z _; ring.
rewrite /partition; set S := \sum_z q z * (expR (f t z) * df z).
move: S (\sum_z q z * expR (f t z)) Zn => S Z Zn; field.
exact: Zn.
Qed.

End Derivatives.

Section Uniform.
Variables (R : realFieldType) (T : finType).
Hypothesis inhabited : (0 < #|T|)%N.

Lemma card_inhabited : #|T|%:R != 0 :> R.
Proof. by rewrite pnatr_eq0 -lt0n. Qed.

Lemma uniform_ge0 (y : T) : 0 <= (#|T|%:R)^-1 :> R.
Proof. by rewrite invr_ge0 ler0n. Qed.

Lemma uniform_sum1 : \sum_(y : T) (#|T|%:R)^-1 = 1 :> R.
Proof. by rewrite sumr_const -[LHS]mulr_natr mulVf // card_inhabited. Qed.

(** The uniform law on [T]. *)
Definition uniform : law R T := Law uniform_ge0 uniform_sum1.

End Uniform.

Section Softmax.
Variables (R : realType) (T : finType).
Hypothesis inhabited : (0 < #|T|)%N.
Implicit Types (theta f : T -> R) (a y : T).
Local Notation uniform := (uniform R inhabited).

Lemma softmax_eq_tilt theta y :
  expR (theta y) / (\sum_z expR (theta z)) = tilt uniform theta y.
Proof.
rewrite /= /partition /= -mulr_sumr -mulf_div divff ?mul1r //.
by rewrite invr_eq0 (card_inhabited R inhabited).
Qed.

Lemma softmax_ge0 theta y : 0 <= expR (theta y) / (\sum_z expR (theta z)).
Proof. by rewrite softmax_eq_tilt mass_ge0. Qed.

Lemma softmax_sum1 theta : \sum_y expR (theta y) / (\sum_z expR (theta z)) = 1.
Proof. by under eq_bigr do rewrite softmax_eq_tilt; rewrite mass_sum1. Qed.

(** The softmax law of the logits theta: exp theta(y) over the sum of exp theta(z). *)
Definition softmax theta : law R T := Law (softmax_ge0 theta) (softmax_sum1 theta).

(** The logits with the one of [a] moved by [h]. *)
Definition moved theta a (h : R) : T -> R := fun y => theta y + h * (y == a)%:R.

Lemma moved0 theta a : moved theta a 0 = theta.
Proof. by apply: boolp.funext => y; rewrite /moved mul0r addr0. Qed.

Lemma sum_expR_gt0 theta : 0 < \sum_z expR (theta z).
Proof.
have /card_gt0P[y _] := inhabited.
rewrite (bigD1 y) //= ltr_paddr ?expR_gt0 //.
by apply: sumr_ge0 => z _; rewrite ltW // expR_gt0.
Qed.

Lemma softmax_positive theta : positive (softmax theta).
Proof. by move=> y; rewrite /= divr_gt0 ?expR_gt0 ?sum_expR_gt0. Qed.

Lemma eq_softmax theta theta' : theta =1 theta' -> softmax theta =1 softmax theta'.
Proof. by move=> /boolp.funext ->. Qed.

(** Theorem 1, reach of the softmax. Every law with full support is the softmax of its own
    log-probabilities. *)
Theorem softmax_log (pi : law R T) : positive pi -> softmax (fun y => ln (pi y)) =1 pi.
Proof.
move=> pi0 y /=; under eq_bigr do rewrite lnK ?posrE //.
by rewrite mass_sum1 divr1 lnK ?posrE.
Qed.

Lemma softmax_moves theta a : moves (fun h => softmax (moved theta a h)) 0
  (fun y => softmax theta y * score (softmax theta) a y).
Proof.
have d y : is_derive (0 : R) 1 (fun h => moved theta a h y) (y == a)%:R.
  refine (is_derive_value (is_deriveD (is_derive_cst (theta y) (0 : R) 1)
    (is_derive_times (is_derive_id (0 : R) 1) (is_derive_cst ((y == a)%:R : R) (0 : R) 1))) _).
  by rewrite mulr0 addr0 mul1r add0r.
move=> y; have := tilt_moves uniform d y; rewrite moved0.
have e : tilt uniform theta =1 softmax theta by move=> z; rewrite -softmax_eq_tilt.
rewrite e => dy; apply: is_derive_value.
  by apply: is_derive_eq_fun dy => u; rewrite -softmax_eq_tilt.
congr (_ * (_ - _)); rewrite /mean; under eq_bigr do rewrite e.
have := mean_indicator (softmax theta) (fun=> 1) a; rewrite mulr1 => <-.
by apply: eq_bigr => z _; rewrite mul1r.
Qed.

(** Theorem 1, softmax. The derivative of pi(y) in the logit of [a] is pi(y) (1[y = a] - pi(a)). *)
Theorem softmax_partial theta a y :
  is_derive (0 : R) 1 (fun h => softmax (moved theta a h) y : R)
    (softmax theta y * score (softmax theta) a y).
Proof. exact: softmax_moves. Qed.

Lemma softmax_moving_score theta a y :
  moving_score (fun h => softmax (moved theta a h)) 0
    (fun y => softmax theta y * score (softmax theta) a y) y = score (softmax theta) a y.
Proof. by rewrite /moving_score moved0 [X in X / _]mulrC mulfK // gt_eqF // softmax_positive. Qed.

(** Theorem 1, what the score is. The derivative of ln pi(y) in the logit of [a] is the score
    1[y = a] - pi(a). *)
Theorem log_softmax_partial theta a y :
  is_derive (0 : R) 1 (fun h => ln (softmax (moved theta a h) y)) (score (softmax theta) a y).
Proof.
rewrite -softmax_moving_score; apply: log_moves; first exact: softmax_moves.
exact: softmax_positive.
Qed.

(** Theorem 1, what the policy gradient is. The derivative of the mean of [f] in the logit of [a]
    is pi(a) (f(a) - J). *)
Theorem mean_softmax_partial theta f a :
  is_derive (0 : R) 1 (fun h => mean (softmax (moved theta a h)) f)
    (gradient (softmax theta) f a).
Proof.
rewrite -mean_score.
have pi0 : positive (softmax (moved theta a 0)) by apply: softmax_positive.
apply: is_derive_value (mean_moves (softmax_moves theta a) pi0 f) _.
by rewrite moved0; apply: eq_mean => y; rewrite softmax_moving_score.
Qed.

(** An instance of the hypotheses above: a softmax law, moved in one logit, is a family that moves
    and has full support. *)
Lemma moves_instance theta a :
  moves (fun h => softmax (moved theta a h)) 0
    (fun y => softmax theta y * score (softmax theta) a y)
  /\ positive (softmax (moved theta a 0)).
Proof. by split; [apply: softmax_moves|apply: softmax_positive]. Qed.

End Softmax.
