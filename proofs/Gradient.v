(** Estimators of policy gradients: what their updates are on average.

    Theorems 2, 3, 18 and 19. Where a score s is asked for, any coordinate of any score will do:
    all that is used is that its mean is zero, which is theorem 1. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From mathcomp Require Import boolp classical_sets reals topology normedtype sequences derive.
From mathcomp Require Import realfun exp.
From BanditRlhf Require Import Bandit Divergence Softmax Draws.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory numFieldNormedType.Exports.
Local Open Scope ring_scope.

Section Baselines.
Variables (R : realFieldType) (T : finType).
Implicit Types (pi : law R T) (f s : T -> R).

(** Theorem 2. A constant taken from the reward leaves the mean update alone. *)
Theorem constant_baseline pi f s b : mean pi s = 0 ->
  mean pi (fun y => (f y - b) * s y) = mean pi (fun y => f y * s y).
Proof.
move=> s0; under eq_mean do rewrite mulrBl.
by rewrite meanB meanZ s0 mulr0 subr0.
Qed.

(** Theorem 2, baselines from prefixes. The score of a string is a sum of scores of its tokens,
    each with mean zero given the prefix before it. Each token may have a baseline of its own,
    any function of that prefix (a learned value, the reward so far): the mean update is the
    same. *)
Theorem prefix_baseline (n : nat) (Prefix : eqType) (prefix : 'I_n -> T -> Prefix)
    (s b : 'I_n -> T -> R) pi f :
  (forall t, centred_given (prefix t) pi (s t)) ->
  (forall t, reads (prefix t) (b t)) ->
  mean pi (fun y => \sum_t (f y - b t y) * s t y) = mean pi (fun y => f y * \sum_t s t y).
Proof.
move=> s0 br; rewrite mean_sum; under [RHS]eq_mean do rewrite mulr_sumr.
rewrite mean_sum; apply: eq_bigr => t _.
under eq_mean do rewrite mulrBl.
by rewrite meanB (mean_reads (br t) (s0 t)) subr0.
Qed.

(** Theorem 2, baselines from the other draws. A baseline that does not look at a draw leaves the
    mean update of that draw alone. *)
Theorem own_reward_free_baseline (n : nat) (i : 'I_n) (b : {ffun 'I_n -> T} -> R) pi f s :
  ignores i b -> mean pi s = 0 ->
  mean (draws pi n) (fun ys => (f (ys i) - b ys) * s (ys i)) = mean pi (fun y => f y * s y).
Proof.
move=> bi s0; under eq_mean do rewrite mulrBl.
by rewrite meanB (mean_ignores bi s0) subr0 (mean_draw pi i (fun y => f y * s y)).
Qed.

(** Theorem 2, shifts. A constant added to the rewards does not move the policy gradient. *)
Theorem gradient_shift pi f c a : gradient pi (fun y => f y + c) a = gradient pi f a.
Proof. by rewrite /gradient meanD mean_const; congr (_ * _); ring. Qed.

End Baselines.

Section NextToken.
Variables (R : realFieldType) (S A Z : finType).
Variables (mu : law R S) (kappa : S -> law R A) (rho : S -> A -> law R Z).

Lemma string_ge0 (y : S * A * Z) : 0 <= mu y.1.1 * kappa y.1.1 y.1.2 * rho y.1.1 y.1.2 y.2.
Proof. by rewrite !mulr_ge0 ?mass_ge0. Qed.

Lemma string_sum1 : \sum_(y : S * A * Z) mu y.1.1 * kappa y.1.1 y.1.2 * rho y.1.1 y.1.2 y.2 = 1.
Proof.
rewrite -(pair_bigA _ (fun ca z => mu ca.1 * kappa ca.1 ca.2 * rho ca.1 ca.2 z)) /=.
under eq_bigr do rewrite -mulr_sumr mass_sum1 mulr1.
rewrite -(pair_bigA _ (fun c a => mu c * kappa c a)) /=.
under eq_bigr do rewrite -mulr_sumr mass_sum1 mulr1.
exact: mass_sum1.
Qed.

(** A string as prefix, next token and rest: any string law has this form at any place. *)
Definition string_law : law R [finType of S * A * Z] := Law string_ge0 string_sum1.

(** An instance of [prefix_baseline]'s hypothesis: whatever has mean zero under the next-token law
    of each prefix, as its score has, has mean zero given the prefix. *)
Lemma next_token_centred_instance (s : S -> A -> R) : (forall c, mean (kappa c) (s c) = 0) ->
  centred_given (fun y => y.1.1) string_law (fun y => s y.1.1 y.1.2).
Proof.
move=> s0 c.
transitivity (\sum_(ca : S * A | ca.1 == c) \sum_z
    mu ca.1 * kappa ca.1 ca.2 * rho ca.1 ca.2 z * s ca.1 ca.2).
  by rewrite pair_big; apply: eq_bigl => y; rewrite andbT.
under eq_bigr do rewrite -mulr_suml -mulr_sumr mass_sum1 mulr1.
transitivity (\sum_(c' | c' == c) \sum_a mu c' * kappa c' a * s c' a).
  by rewrite pair_big; apply: eq_bigl => y; rewrite andbT.
rewrite big_pred1_eq; transitivity (mu c * mean (kappa c) (s c)); last by rewrite s0 mulr0.
by rewrite /mean mulr_sumr; apply: eq_bigr => a _; rewrite mulrA.
Qed.

End NextToken.

Section Groups.
Variables (R : realFieldType) (T : finType) (n : nat).
Implicit Types (pi : law R T) (f s : T -> R) (r : 'I_n -> R).

(** REINFORCE leave-one-out: a reward less the mean reward of the other draws. *)
Definition rloo r i : R := r i - (\sum_(j | j != i) r j) / (n.-1)%:R.

(** A reward less the mean reward of all draws, its own included. *)
Definition group_mean r i : R := r i - (\sum_j r j) / n%:R.

(** The update of a batch: the mean over its draws of advantage times score. *)
Definition update (advantage : ('I_n -> R) -> 'I_n -> R) f s (ys : {ffun 'I_n -> T}) : R :=
  (\sum_i advantage (fun j => f (ys j)) i * s (ys i)) / n%:R.

Lemma pred_natr (m : nat) : (0 < m)%N -> (m.-1)%:R = m%:R - 1 :> R.
Proof. case: m => // m _; by rewrite mulrS [1 + _]addrC addrK. Qed.

(** Theorem 3, two forms. The leave-one-out advantage is n / (n - 1) times the reward less the mean
    of all. *)
Theorem rloo_rescaled r i : (1 < n)%N -> rloo r i = n%:R / (n.-1)%:R * group_mean r i.
Proof.
move=> n1; have n0 := ltnW n1.
have pn : (n.-1)%:R != 0 :> R by rewrite pnatr_eq0 -lt0n -subn1 subn_gt0.
have nn : n%:R != 0 :> R by rewrite pnatr_eq0 -lt0n.
rewrite /rloo /group_mean [in RHS](bigD1 i) //=; move: (bigop _ _ _) => o.
move: pn; rewrite pred_natr // => pn; field.
by rewrite pn nn.
Qed.

Lemma mean_update pi f s advantage (c : R) : (0 < n)%N ->
  (forall i, mean (draws pi n) (fun ys => advantage (fun j => f (ys j)) i * s (ys i)) = c) ->
  mean (draws pi n) (update advantage f s) = c.
Proof.
move=> n0 e; rewrite /update; under eq_mean do rewrite mulrC.
rewrite meanZ mean_sum; under eq_bigr do rewrite e.
rewrite sumr_const card_ord -[c *+ n]mulr_natl mulKf //.
by rewrite pnatr_eq0 -lt0n.
Qed.

(** Theorem 3. REINFORCE leave-one-out is unbiased: over independent draws, its mean update is the
    policy gradient E[f s]. *)
Theorem rloo_unbiased pi f s : (1 < n)%N -> mean pi s = 0 ->
  mean (draws pi n) (update rloo f s) = mean pi (fun y => f y * s y).
Proof.
move=> n1 s0; apply: mean_update => [|i]; first exact: ltnW.
apply: (own_reward_free_baseline
  (b := fun ys => (\sum_(j | j != i) f (ys j)) / (n.-1)%:R)) => // ys ys' e.
by congr (_ / _); apply: eq_bigr => j /e ->.
Qed.

(** Theorem 3, the own sample. A mean that includes the draw's own reward shrinks the mean update
    to (n - 1) / n of the policy gradient. *)
Theorem group_mean_shrinks pi f s : (0 < n)%N -> mean pi s = 0 ->
  mean (draws pi n) (update group_mean f s) = (n.-1)%:R / n%:R * mean pi (fun y => f y * s y).
Proof.
move=> n0 s0; have nn : n%:R != 0 :> R by rewrite pnatr_eq0 -lt0n.
apply: mean_update => // i.
have -> : mean (draws pi n) (fun ys => group_mean (fun j => f (ys j)) i * s (ys i))
  = mean (draws pi n) (fun ys => f (ys i) * s (ys i)
      - n%:R^-1 * \sum_j (f (ys j) * s (ys i))).
  by apply: eq_mean => ys; rewrite /group_mean mulrBl -mulr_suml mulrAC [_ / _]mulrC mulrA.
rewrite meanB meanZ mean_sum (bigD1 i) //= (mean_draw pi i (fun y => f y * s y)).
rewrite big1 ?addr0 => [|j ji]; last by rewrite mean_two_draws // s0 mulr0.
by rewrite pred_natr // mulrBl divff // mulrBl mul1r div1r.
Qed.

(** Theorem 3, shifts. A constant added to all rewards changes no leave-one-out advantage. *)
Theorem rloo_shift r c i : (1 < n)%N -> rloo (fun j => r j + c) i = rloo r i.
Proof.
move=> n1; have nn : n%:R != 0 :> R by rewrite pnatr_eq0 -lt0n ltnW.
rewrite !rloo_rescaled // /group_mean big_split /= sumr_const card_ord -[c *+ n]mulr_natr.
by congr (_ * _); field.
Qed.

End Groups.

Section Grpo.
Variables (R : rcfType) (T : finType) (n : nat).
Hypothesis n_gt0 : (0 < n)%N.
Implicit Types (pi : law R T) (s : T -> R) (r : 'I_n -> R).

(** The variance of the rewards of a group, with n in the denominator. *)
Definition group_variance r : R := (\sum_j group_mean r j ^+ 2) / n%:R.

(** GRPO's advantage: reward less group mean, over the group's standard deviation; a group without
    variance is skipped. *)
Definition grpo r i : R :=
  if group_variance r == 0 then 0 else group_mean r i / Num.sqrt (group_variance r).

Let nn : n%:R != 0 :> R. Proof. by rewrite pnatr_eq0 -lt0n. Qed.

Lemma group_variance_ge0 r : 0 <= group_variance r.
Proof. by rewrite divr_ge0 ?ler0n // sumr_ge0 // => j _; apply: sqr_ge0. Qed.

Lemma sum_group_mean r : \sum_i group_mean r i = 0.
Proof.
by rewrite sumrB sumr_const card_ord -[_ *+ n]mulr_natr divfK // subrr.
Qed.

(** Next to GRPO's advantages the rewards, whatever is taken from them, sum to the group's standard
    deviation. *)
Lemma grpo_projection r c : (\sum_i grpo r i * (r i - c)) / n%:R = Num.sqrt (group_variance r).
Proof.
rewrite /grpo; have := group_variance_ge0 r; rewrite le_eqVlt => /orP[/eqP v0|v0].
  by rewrite -v0 eqxx sqrtr0 big1 ?mul0r // => i _; rewrite mul0r.
rewrite gt_eqF //.
have e (d : R) i : group_mean r i / d * (r i - c)
  = d^-1 * (group_mean r i ^+ 2) + d^-1 * ((\sum_j r j) / n%:R - c) * group_mean r i.
  by rewrite /group_mean; move: d^-1 (r i) (_ / n%:R) => a b m; ring.
under eq_bigr do rewrite e.
rewrite big_split /= -!mulr_sumr sum_group_mean mulr0 addr0 -mulrA -/(group_variance r).
by rewrite -{2}(sqr_sqrtr (ltW v0)) expr2 mulKf // gt_eqF // sqrtr_gt0.
Qed.

Section Binary.
Variables (pi : law R T) (right : pred T) (s : T -> R).
Let reward y : R := (right y)%:R.
Let p := chance pi right.

Lemma group_variance_binary (ys : {ffun 'I_n -> T}) :
  group_variance (fun j => reward (ys j))
    = (count_right right ys)%:R / n%:R * (1 - (count_right right ys)%:R / n%:R).
Proof.
rewrite /group_variance /group_mean sum_right; set K : R := (count_right _ _)%:R.
have e j : (reward (ys j) - K / n%:R) ^+ 2
  = (1 - (K / n%:R + K / n%:R)) * reward (ys j) + (K / n%:R) ^+ 2.
  by rewrite /reward; case: (right _); rewrite /= ?mulr0n ?mulr1n; ring.
under eq_bigr do rewrite e.
rewrite big_split /= -mulr_sumr sum_right -/K sumr_const card_ord -[_ *+ n]mulr_natr.
by field.
Qed.

(** Theorem 19. For binary rewards GRPO follows the gradient of the chance p of being right, times a
    weight: w(p) = E sqrt(K/n (1 - K/n)) / (p (1 - p)) with K binomial(n, p). The weight depends on
    p, so over several prompts the sum of the updates is not the gradient of the mean reward. *)
Theorem grpo_weight : 0 < p -> p < 1 -> mean pi s = 0 ->
  mean (draws pi n) (update grpo reward s)
    = (\sum_(k < n.+1) 'C(n, k)%:R * p ^+ k * (1 - p) ^+ (n - k)
        * Num.sqrt (k%:R / n%:R * (1 - k%:R / n%:R))) / (p * (1 - p))
      * mean pi (fun y => reward y * s y).
Proof.
move=> p0 p1 s0; set g := mean pi (fun y => reward y * s y).
have pn : p != 0 by rewrite gt_eqF.
have qn : 1 - p != 0 by rewrite subr_eq0 eq_sym lt_eqF.
pose s' y := g / (p * (1 - p)) * (reward y - p).
have total c : \sum_(y | right y == c) pi y = if c then p else 1 - p.
  case: c; rewrite -?(chance_wrong pi right) /p /chance /mean big_mkcond /=;
    apply: eq_bigr => y _; case: (right y); rewrite /= ?mulr1 ?mulr0 //.
have scores c : \sum_(y | right y == c) pi y * s y = if c then g else - g.
  have gE : \sum_(y | right y == true) pi y * s y = g.
    rewrite big_mkcond /=; apply: eq_bigr => y _.
    by rewrite /reward; case: (right y); rewrite /= ?mul1r ?mul0r ?mulr0.
  case: c => //; apply/eqP; rewrite -addr_eq0 -{}gE -[X in _ == X]s0 addrC /mean.
  rewrite [X in _ == X](bigID (fun y => right y == true)) /=.
  by apply/eqP; congr (_ + _); apply: eq_bigl => y; case: (right y).
have centred : centred_given right pi (fun y => s y - s' y).
  move=> c; under eq_bigr do rewrite mulrBr.
  rewrite sumrB scores (eq_bigr (fun y => pi y * (g / (p * (1 - p)) * (c%:R - p)))).
    rewrite -mulr_suml total; case: c; rewrite /= ?mulr0n ?mulr1n.
      by apply/eqP; rewrite subr_eq0; apply/eqP; field; rewrite pn qn.
    by apply/eqP; rewrite subr_eq0; apply/eqP; field; rewrite pn qn.
  by move=> y /eqP e; rewrite /s' /reward e.
have swap : mean (draws pi n) (update grpo reward s) = mean (draws pi n) (update grpo reward s').
  rewrite /update; under eq_mean do rewrite mulrC; under [RHS]eq_mean do rewrite mulrC.
  rewrite !meanZ !mean_sum; congr (_ * _); apply: eq_bigr => i _.
  apply: mean_same_given (draws_centred_given (n := n) i centred) => ys ys' e.
  have er j : reward (ys j) = reward (ys' j).
    by have := congr1 (fun w : {ffun _} => w j) e; rewrite !ffunE /reward => ->.
  have eg j : group_mean (fun j => reward (ys j)) j = group_mean (fun j => reward (ys' j)) j.
    by rewrite /group_mean er; congr (_ - _ / _); apply: eq_bigr => k _; rewrite er.
  have ev : group_variance (fun j => reward (ys j)) = group_variance (fun j => reward (ys' j)).
    by congr (_ / _); apply: eq_bigr => k _; rewrite eg.
  by rewrite /grpo ev eg.
rewrite swap -(count_right_binomial pi n right
  (fun k => Num.sqrt (k%:R / n%:R * (1 - k%:R / n%:R)))).
rewrite [RHS]mulrC [RHS]mulrA [RHS]mulrAC -meanZ; apply: eq_mean => ys.
rewrite -group_variance_binary -(grpo_projection _ p) /update.
rewrite [RHS]mulrA; congr (_ / _); rewrite mulr_sumr; apply: eq_bigr => i _.
by rewrite /s'; ring.
Qed.

End Binary.
End Grpo.

Section Divergences.
Variables (R : realType) (T : finType).
Variables (pi : R -> law R T) (t : R) (dpi : T -> R) (ref : law R T).
Hypotheses (pi_moves : moves pi t dpi) (pi_positive : positive (pi t)).
Hypothesis ref_positive : positive ref.

(** Three estimates of KL(pi||ref) from one draw y of pi. *)
Definition k1 (p q : law R T) y : R := ln (p y / q y).
Definition k2 (p q : law R T) y : R := ln (p y / q y) ^+ 2 / 2.
Definition k3 (p q : law R T) y : R := q y / p y - 1 - ln (q y / p y).

Local Notation score := (moving_score pi t dpi).

Let pi_neq0 y : pi t y != 0. Proof. by rewrite gt_eqF. Qed.
Let ref_neq0 y : ref y != 0. Proof. by rewrite gt_eqF. Qed.

Lemma mean_times_score f : mean (pi t) (fun y => f y * score y) = \sum_y f y * dpi y.
Proof. by apply: eq_bigr => y _; rewrite mulrCA mass_moving_score. Qed.

(** Theorem 18, one draw of k1: its derivative is the score. *)
Theorem k1_slope y : is_derive t 1 (fun u => k1 (pi u) ref y) (score y).
Proof.
have d := is_derive_times (pi_moves y) (is_derive_const (ref y)^-1 t).
have x0 : 0 < pi t y / ref y by rewrite divr_gt0.
apply: is_derive_value (is_derive_log (g := fun u => pi u y / ref y) x0 d) _.
rewrite mulr0 addr0 /moving_score; have := pi_neq0 y; have := ref_neq0 y.
by move: (ref y : R) (pi t y : R) => q p q0 p0; field; rewrite p0 q0.
Qed.

(** Theorem 18, one draw of k2: its derivative is the log-ratio times the score. *)
Theorem k2_slope y :
  is_derive t 1 (fun u => k2 (pi u) ref y) (ln (pi t y / ref y) * score y).
Proof.
have d := is_derive_times (is_derive_times (k1_slope y) (k1_slope y)) (is_derive_const 2^-1 t).
have := is_derive_eq_fun (g := fun u => k2 (pi u) ref y) _ d; rewrite /k2 => {}d.
by apply: is_derive_value (d (fun u => erefl)) _; rewrite /k1; field.
Qed.

(** Theorem 18, one draw of k3: its derivative is (1 - ref/pi) times the score. *)
Theorem k3_slope y :
  is_derive t 1 (fun u => k3 (pi u) ref y) ((1 - ref y / pi t y) * score y).
Proof.
have dr : is_derive t 1 (fun u => ref y / pi u y) (- (ref y / pi t y * score y)).
  apply: is_derive_value (is_derive_scaled (ref y) (is_deriveV (pi_neq0 y) (pi_moves y))) _.
  rewrite /GRing.scale /= /moving_score; have := pi_neq0 y.
  by move: (pi t y : R) => p p0; field.
have r0 : 0 < ref y / pi t y by rewrite divr_gt0.
have d := is_deriveB (is_deriveB dr (is_derive_const 1 t))
  (is_derive_log (g := fun u => ref y / pi u y) r0 dr).
apply: is_derive_value d _; rewrite subr0 mulNr [X in _ - - X]mulrAC divff ?gt_eqF // mul1r.
by rewrite opprK mulrBl mul1r addrC.
Qed.

(** Theorem 18, the gradient of KL(pi||ref): the sum of ln(pi/ref) dpi. *)
Theorem kl_slope :
  is_derive t 1 (fun u => kl (pi u) ref) (mean (pi t) (fun y => ln (pi t y / ref y) * score y)).
Proof.
have d y := is_derive_times (pi_moves y) (k1_slope y).
apply: is_derive_value (is_derive_sum_over d) _.
under eq_bigr do rewrite mass_moving_score //.
rewrite big_split /= (sum_slopes pi_moves) addr0 mean_times_score.
by apply: eq_bigr => y _; rewrite mulrC.
Qed.

(** Theorem 18, the gradient of KL(ref||pi): minus the sum of ref times the score. *)
Theorem reverse_kl_slope :
  is_derive t 1 (fun u => kl ref (pi u)) (- \sum_y ref y * score y).
Proof.
have d y : is_derive t 1 (fun u => ref y * ln (ref y / pi u y)) (- (ref y * score y)).
  rewrite -mulrN; apply: is_derive_scaled.
  have := is_deriveN (k1_slope y); apply: is_derive_eq_fun => u.
  change (- ln (pi u y / ref y) = ln (ref y / pi u y)).
  have := mass_ge0 (pi u) y; rewrite le_eqVlt => /orP[/eqP<-|p0].
    by rewrite mul0r invr0 mulr0 (ln0 (lexx 0)) oppr0.
  by rewrite -lnV ?posrE ?divr_gt0 // invf_div.
by apply: is_derive_value (is_derive_sum_over d) _; rewrite sumrN.
Qed.

(** Theorem 18. As a loss k1 teaches nothing: its mean gradient, over draws of the policy, is 0. *)
Theorem k1_loss_gradient : mean (pi t) (fun y => 'D_1 (fun u => k1 (pi u) ref y) t) = 0.
Proof.
rewrite -(moving_score_mean_zero pi_moves pi_positive); apply: eq_mean => y.
exact: (@derive_val _ _ _ _ _ _ _ (k1_slope y)).
Qed.

(** Theorem 18. As a loss k2 is right: its mean gradient is that of KL(pi||ref). *)
Theorem k2_loss_gradient :
  mean (pi t) (fun y => 'D_1 (fun u => k2 (pi u) ref y) t) = 'D_1 (fun u => kl (pi u) ref) t.
Proof.
rewrite (@derive_val _ _ _ _ _ _ _ kl_slope); apply: eq_mean => y.
exact: (@derive_val _ _ _ _ _ _ _ (k2_slope y)).
Qed.

(** Theorem 18. As a loss k3 follows the reverse divergence: its mean gradient is that of
    KL(ref||pi). *)
Theorem k3_loss_gradient :
  mean (pi t) (fun y => 'D_1 (fun u => k3 (pi u) ref y) t) = 'D_1 (fun u => kl ref (pi u)) t.
Proof.
rewrite (@derive_val _ _ _ _ _ _ _ reverse_kl_slope).
rewrite (eq_mean _ (fun y => @derive_val _ _ _ _ _ _ _ (k3_slope y))) mean_times_score.
under eq_bigr do rewrite mulrBl mul1r.
rewrite sumrB (sum_slopes pi_moves) sub0r; congr (- _); apply: eq_bigr => y _.
by rewrite /moving_score mulrAC mulrA.
Qed.

(** Theorem 18. As a detached reward k1 is right: the mean of k1 times the score is the gradient of
    KL(pi||ref). *)
Theorem k1_reward_gradient :
  mean (pi t) (fun y => k1 (pi t) ref y * score y) = 'D_1 (fun u => kl (pi u) ref) t.
Proof. by rewrite (@derive_val _ _ _ _ _ _ _ kl_slope). Qed.

(** Theorem 18, value of k1. The mean of k1 is KL(pi||ref), by definition. *)
Theorem k1_mean : mean (pi t) (k1 (pi t) ref) = kl (pi t) ref.
Proof. by []. Qed.

(** Theorem 18, value of k3. The mean of k3 is KL(pi||ref) too. *)
Theorem k3_mean : mean (pi t) (k3 (pi t) ref) = kl (pi t) ref.
Proof.
transitivity (\sum_y (pi t y * ln (pi t y / ref y) + (ref y - pi t y))); last first.
  by rewrite big_split /= sum_mass_diff addr0.
apply: eq_bigr => y _.
rewrite /k3 -invf_div lnV ?posrE ?divr_gt0 // invf_div opprK.
by rewrite mulrDr mulrBr mulr1 mulrCA divff // mulr1 addrC.
Qed.

End Divergences.

Section Instance.
Variable R : realFieldType.

(** An instance of the hypotheses on groups: a fair coin that is right on one side, its score in
    the logit of that side, two draws. *)
Example groups_instance (inhabited : (0 < #|{: bool}|)%N) :
  let pi := uniform R inhabited in
  [/\ (1 < 2)%N, mean pi (score pi true) = 0, 0 < chance pi id & chance pi id < 1].
Proof.
have c : chance (uniform R inhabited) id = 2^-1.
  by rewrite /chance /mean big_bool /= mulr1 mulr0 addr0 card_bool.
split; rewrite ?c ?score_mean_zero // ?invr_gt0 ?invf_lt1 ?ltr0n ?ltr1n //.
Qed.

(** An instance of a baseline that ignores its own draw: the sum of the others' rewards. *)
Example ignores_instance (T : finType) (n : nat) (i : 'I_n) (f : T -> R) :
  ignores i (fun ys : {ffun 'I_n -> T} => \sum_(j | j != i) f (ys j)).
Proof. by move=> ys ys' e; apply: eq_bigr => j /e ->. Qed.

End Instance.
