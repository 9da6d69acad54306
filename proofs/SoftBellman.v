(** The soft-Bellman recursion: backward induction under a KL penalty. Theorems 11 and 27.

    V(s) = beta ln sum_a ref(a|s) exp(Q(s,a) / beta), and the policy that tilts the reference by
    exp(Q / beta) token by token. Written by tokens it is the Gibbs law over whole strings; where
    chance answers, what it gains beyond the reference's log-ratio is luck with mean zero. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From mathcomp Require Import reals sequences exp.
From BanditRlhf Require Import Bandit Divergence Language Prefix ChainRule Mdp TokenMdp.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Lemma expR_step (R : realType) (p q e l v w beta : R) :
  p * expR ((e + v - w) / beta) * (q * expR ((l - v) / beta)) = p * q * expR ((e + l - w) / beta).
Proof.
rewrite mulrACA -expRD -mulrDl.
by have -> : e + v - w + (l - v) = e + l - w by ring.
Qed.

Section SoftBellman.
Variables (R : realType) (S : Type) (A O : finType).
Variables (M : mdp R S A O) (ref : plan R S A) (beta : R).
Hypothesis beta_gt0 : 0 < beta.
Implicit Types (s : S) (a : A) (o : O) (n k : nat) (y : seq (A * O)).

(** V with [n] steps left: beta ln of the mean of exp(Q / beta) under the reference. *)
Fixpoint soft_value n s : R :=
  if n is k.+1 then
    beta * ln (\sum_a ref k s a * expR (backup M (soft_value k) s a / beta))
  else 0.

(** The policy ref(a|s) exp(Q(s,a) / beta), normalised. *)
Definition soft_policy : plan R S A := fun k s =>
  tilt (ref k s) (fun a => backup M (soft_value k) s a / beta).

Lemma soft_partition k s :
  partition (ref k s) (fun a => backup M (soft_value k) s a / beta) =
  expR (soft_value k.+1 s / beta).
Proof.
by rewrite /= -/(partition _ _) mulrC mulKf ?gt_eqF // lnK // posrE partition_gt0.
Qed.

Lemma soft_policyE k s a : soft_policy k s a =
  ref k s a * expR ((backup M (soft_value k) s a - soft_value k.+1 s) / beta).
Proof. by rewrite /soft_policy /tilt [LHS]/= soft_partition -expRN -mulrA -expRD mulrBl. Qed.

(** What chance adds, in one step, to the mean of reward and value to come. *)
Definition luck k s a o : R :=
  reward M s a o + discount M * soft_value k (successor M s a o) - backup M (soft_value k) s a.

(** Luck has mean zero, whatever is done. *)
Lemma expected_luck (pi : plan R S A) n s : expected M pi luck n s = 0.
Proof.
elim: n s => //= n ih s; rewrite -[RHS](mean_const (pi n s)); apply: eq_mean => a.
rewrite (@eq_mean _ _ _ _ (luck n s a)) => [|o]; last by rewrite ih mulr0 addr0.
by rewrite /luck meanB mean_const subrr.
Qed.

Lemma ln_soft_policy k s a : 0 < ref k s a ->
  beta * ln (soft_policy k s a / ref k s a) = backup M (soft_value k) s a - soft_value k.+1 s.
Proof.
move=> r0; rewrite soft_policyE mulrAC divff ?gt_eqF // mul1r expK.
by rewrite mulrC divfK // gt_eqF.
Qed.

(** Every action of [y] is one that the reference may take. *)
Fixpoint possible s y : Prop :=
  if y is (a, o) :: z then 0 < ref (size z) s a /\ possible (successor M s a o) z else True.

(** Theorem 27, in general. Without discount, along every episode, the sum of beta times the
    log-ratio of the soft-optimal policy to its reference is the return, less the first value, less
    the luck that chance added. *)
Theorem log_ratio_is_return_less_luck s y : discount M = 1 -> possible s y ->
  earned M (fun k s a _ => beta * ln (soft_policy k s a / ref k s a)) s y =
  earned M (fun _ => reward M) s y - soft_value (size y) s - earned M luck s y.
Proof.
move=> g1; elim: y s => [|[a o] y ih] s /=; first by move=> _; ring.
by move=> [r0 /ih ->]; rewrite ln_soft_policy // /luck g1 /=; ring.
Qed.

(** Theorem 27. If the reward does not hang on chance, luck is V(s') - E V(s'): the sum of
    beta ln(pi*/ref) is R - V(s0) - sum (V(s') - E V(s')). *)
Theorem log_ratio_stochastic s y (r : S -> A -> R) : discount M = 1 ->
  (forall s a o, reward M s a o = r s a) -> possible s y ->
  earned M (fun k s a _ => beta * ln (soft_policy k s a / ref k s a)) s y =
  earned M (fun _ => reward M) s y - soft_value (size y) s
  - earned M (fun k s a o => soft_value k (successor M s a o)
      - mean (chance M s a) (fun o => soft_value k (successor M s a o))) s y.
Proof.
move=> g1 rr po; rewrite log_ratio_is_return_less_luck //; congr (_ - _).
elim: y s {po} => [|[a o] y ih] s //=; rewrite ih; congr (_ + _).
rewrite /luck /backup g1 rr.
rewrite (@eq_mean _ _ _ _ (fun o => r s a + soft_value (size y) (successor M s a o))).
  by rewrite meanD mean_const; ring.
by move=> o'; rewrite rr mul1r.
Qed.

End SoftBellman.

(** On the token MDP of a language the recursion finds the Gibbs law over whole strings. *)
Section TokenGibbs.
Variables (R : realType) (A : finType) (stops : pred A) (ref : policy R A) (beta : R).
Hypothesis beta_gt0 : 0 < beta.
Local Notation string := (string stops).
Local Notation strings := (strings stops).
Local Notation V r := (soft_value (token_mdp stops r) (fun _ => ref) beta).
Local Notation soft r := (soft_policy (token_mdp stops r) (fun _ => ref) beta).
Implicit Types (s y : seq A) (r : seq A -> A -> R) (Rw : seq A -> R).

Lemma soft_value_stopped r n s : has stops s -> V r n s = 0.
Proof.
move=> ss; elim: n => // n ih /=.
rewrite (eq_bigr (ref s)) => [|a _]; first by rewrite mass_sum1 ln1 mulr0.
by rewrite /backup mean_sure /= ss ih mulr0 addr0 mul0r expR0 mulr1.
Qed.

Lemma likelihood_soft r n s y : ~~ has stops s -> y \in strings n ->
  likelihood (writes (soft r) n s) y =
  likelihood (after ref s) y * expR ((along (fun t => r (s ++ t)) y - V r n s) / beta).
Proof.
elim: n s y => [|n ih] s [|a y] sn; rewrite ?mem_stringsS ?mem_strings0 //.
  by move=> _; rewrite /= subr0 mul0r expR0 mulr1.
move=> yn; rewrite !likelihood_cons {1}/writes /after !cats0 subn1 soft_policyE // backup_token //.
rewrite (@eq_likelihood _ _ (after (writes _ _ _) _) (writes (soft r) n (rcons s a))) => [|t b];
  last by rewrite /after /writes cat_rcons.
rewrite (@eq_likelihood _ _ (after (fun t => ref (s ++ t)) _) (after ref (rcons s a))) => [|t b];
  last by rewrite /after cat_rcons.
rewrite /= cats0 (@eq_along _ _ _ (fun t => r (rcons s a ++ t))) => [|t b];
  last by rewrite cat_rcons.
move: yn; case: ifP => sa yn.
  by rewrite (eqP yn) /= soft_value_stopped ?has_rcons ?sa // !mulr1 addr0.
have sna : ~~ has stops (rcons s a) by rewrite has_rcons sa.
by rewrite (ih _ _ sna yn); apply: expR_step.
Qed.

(** Sum over strings of ref exp((R - V) / beta) is one, so V is beta ln Z. *)
Lemma soft_value_dense r n :
  V r n [::] =
  beta * ln (partition (string_law stops ref n) (fun y : string n => along r y / beta)).
Proof.
have := likelihood_sum1 stops n (writes (soft r) n [::]).
rewrite (eq_bigr (fun y : string n => (likelihood ref y * expR (along r y / beta))
    * expR (- (V r n [::] / beta)))) => [|y _]; last first.
  by rewrite likelihood_soft ?string_in // mulrBl expRD mulrA.
rewrite -mulr_suml => e.
have Z : partition (string_law stops ref n) (fun y : string n => along r y / beta) =
    expR (V r n [::] / beta).
  by rewrite -[LHS]mulr1 -(expR0) -[X in expR X](addNr (V r n [::] / beta)) expRD mulrA e mul1r.
by rewrite Z expK mulrC divfK // gt_eqF.
Qed.

(** Theorem 11, the value. The soft value of the empty prefix is beta ln Z, with Z the mean of
    exp(R / beta) over the strings that the reference writes. *)
Theorem soft_value_is_log_partition Rw n : (0 < n)%N -> V (paid_last stops n Rw) n [::] =
  beta * ln (partition (string_law stops ref n) (fun y : string n => Rw y / beta)).
Proof.
move=> n0; rewrite soft_value_dense; congr (_ * ln _); apply: eq_bigr => y _.
by rewrite along_paid_last ?string_in.
Qed.

(** Theorem 11, the law. Written token by token, the soft-Bellman policy is the Gibbs law over
    whole strings: ref(y) exp(R(y) / beta) / Z. *)
Theorem soft_policy_is_gibbs Rw n : (0 < n)%N ->
  string_law stops (writes (soft (paid_last stops n Rw)) n [::]) n =1
  tilt (string_law stops ref n) (fun y : string n => Rw y / beta).
Proof.
move=> n0 y; rewrite [LHS]likelihood_soft ?string_in // along_paid_last ?string_in //.
rewrite mulrBl expRD mulrA soft_value_is_log_partition // mulrC.
rewrite [X in expR (- X)]mulrC mulKf ?gt_eqF // expRN lnK ?posrE ?partition_gt0 //.
by rewrite mulrC.
Qed.

(** Theorem 11, the optimum. No law over strings has a larger mean reward less beta times its
    divergence from the reference than the soft value of the empty prefix, and the law of the
    soft-Bellman policy alone reaches it. *)
Theorem soft_policy_is_optimal Rw n (p : law R [finType of string n]) : (0 < n)%N ->
  supported p (string_law stops ref n) ->
  let objective := mean p (fun y : string n => Rw y) - beta * kl p (string_law stops ref n) in
  objective <= V (paid_last stops n Rw) n [::] /\
  (objective = V (paid_last stops n Rw) n [::] <->
   p =1 string_law stops (writes (soft (paid_last stops n Rw)) n [::]) n).
Proof.
move=> n0 pq objective; pose g := tilt (string_law stops ref n) (fun y : string n => Rw y / beta).
have scale : mean p (fun y : string n => Rw y / beta) =
    beta^-1 * mean p (fun y : string n => Rw y).
  by rewrite /mean mulr_sumr; apply: eq_bigr => y _; rewrite mulrA mulrC.
have gap : V (paid_last stops n Rw) n [::] - objective = beta * kl p g.
  rewrite /objective soft_value_is_log_partition // kl_tilt // scale.
  move: (ln _) (kl p _) (mean p _) => z k m.
  by rewrite !mulrDr mulrN mulrA divff ?gt_eqF // mul1r; ring.
have pg : supported p g by apply: supported_tilt.
split; first by rewrite -subr_ge0 gap mulr_ge0 ?kl_ge0 // ltW.
have -> : (p =1 string_law stops (writes (soft (paid_last stops n Rw)) n [::]) n) <-> p =1 g.
  by split=> e y; rewrite e soft_policy_is_gibbs.
rewrite -kl_eq0 //; split=> [e|k0]; last by apply/esym/eqP; rewrite -subr_eq0 gap k0 mulr0.
by apply: (mulfI (lt0r_neq0 beta_gt0)); rewrite -gap e subrr mulr0.
Qed.

End TokenGibbs.

(** Theorem 27's hypotheses hold of a user who answers by tossing a coin, whatever is said: the
    state is the user's last answer, and a reference that tosses coins may say anything. *)
Section Instance.
Variable R : realType.

Definition coin_user : mdp R bool [finType of bool] [finType of bool] :=
  Mdp (fun _ _ => coin R) (fun _ _ o => o) (fun s a _ => if s == a then 1 else 0) 1.

Example log_ratio_stochastic_instance s (y : seq (bool * bool)) :
  [/\ discount coin_user = 1,
      forall s a o, reward coin_user s a o = if s == a then 1 else 0
    & possible coin_user (fun _ _ => coin R) s y].
Proof.
split=> //; elim: y s => //= -[a o] y ih s; split; last exact: ih.
by rewrite /= invr_gt0 ltr0n.
Qed.

(** Theorem 11's hypothesis holds of every law over strings when the reference is the coin. *)
Example soft_policy_is_optimal_instance n (p : law R [finType of string (pred1 true) n]) :
  supported p (string_law (pred1 true) (coin_policy R) n).
Proof.
apply: positive_supported => y; rewrite /= likelihoodE; apply: prodr_gt0 => t _.
by rewrite /= invr_gt0 ltr0n.
Qed.

End Instance.
