(** Markov decision processes with a finite horizon: values, shaping, optima, what two policies
    differ by. Theorems 7 (shaping) and 16.

    As in the code, an action has outcomes drawn by chance, and the next state follows from state,
    action and outcome; an episode is cut when no step is left; a terminal state is one that leads
    to itself and pays nothing. There may be any number of states, so a state may remember the
    whole history. A policy may depend on the number [k] of steps that follow the present one. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From BanditRlhf Require Import Bandit Language.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Mdp.
Variables (R : realFieldType) (S : Type) (A O : finType).

Record mdp := Mdp {
  chance : S -> A -> law R O;
  successor : S -> A -> O -> S;
  reward : S -> A -> O -> R;
  discount : R
}.

(** The law of the action in state [s] when [k] more steps follow. *)
Definition plan := nat -> S -> law R A.

Implicit Types (M : mdp) (pi mu : plan) (s : S) (a : A) (o : O) (n k : nat) (v : S -> R).
Implicit Types (f : nat -> S -> A -> O -> R) (y : seq (A * O)).

(** The state reached from [s] by the actions and outcomes [y]. *)
Fixpoint state_after M s y : S :=
  if y is (a, o) :: z then state_after M (successor M s a o) z else s.

(** The discounted sum of a payoff f along [y]: f(s_0, a_0, o_0) + gamma f(s_1, a_1, o_1) + ...
    A payoff may depend on the number of steps that follow. *)
Fixpoint earned M f s y : R :=
  if y is (a, o) :: z then f (size z) s a o + discount M * earned M f (successor M s a o) z
  else 0.

(** Its mean when [n] steps are taken from [s] by the policy [pi], step by step: average over the
    action, then over the outcome, and go on from the state that follows. *)
Fixpoint expected M pi f n s : R :=
  if n is k.+1 then
    mean (pi k s) (fun a => mean (chance M s a) (fun o =>
      f k s a o + discount M * expected M pi f k (successor M s a o)))
  else 0.

(** V of [pi] with [n] steps left: the mean of the discounted sum of rewards. *)
Definition value M pi n s : R := expected M pi (fun _ => reward M) n s.

(** Q from the values [v] that follow: the mean of r + gamma v(s'). *)
Definition backup M v s a : R :=
  mean (chance M s a) (fun o => reward M s a o + discount M * v (successor M s a o)).

(** A = Q - V of [pi] with [k] steps to follow. *)
Definition advantage M pi k s a : R := backup M (value M pi k) s a - value M pi k.+1 s.

Lemma valueS M pi n s : value M pi n.+1 s = mean (pi n s) (backup M (value M pi n) s).
Proof. by []. Qed.

Lemma expected_ext M pi f g n s : (forall k s a o, f k s a o = g k s a o) ->
  expected M pi f n s = expected M pi g n s.
Proof.
move=> fg; elim: n s => //= n ih s; apply: eq_mean => a; apply: eq_mean => o.
by rewrite fg ih.
Qed.

Lemma expectedD M pi f g n s :
  expected M pi (fun k s a o => f k s a o + g k s a o) n s =
  expected M pi f n s + expected M pi g n s.
Proof.
elim: n s => [|n ih] s /=; first by rewrite addr0.
rewrite -meanD; apply: eq_mean => a; rewrite -meanD; apply: eq_mean => o.
by rewrite ih; ring.
Qed.

(** Theorem 16, the performance difference lemma. What [pi] is better than [mu] is the mean, over
    the states and actions that [pi] meets, of the discounted sum of the advantages of [mu]. *)
Theorem performance_difference M pi mu n s :
  value M pi n s - value M mu n s =
  expected M pi (fun k s a _ => advantage M mu k s a) n s.
Proof.
elim: n s => [|n ih] s; first by rewrite subrr.
rewrite valueS -[value M mu n.+1 s](mean_const (pi n s)) -meanB /=.
apply: eq_mean => a; rewrite meanD mean_const.
have -> : mean (chance M s a) (fun o => discount M *
      expected M pi (fun k s a _ => advantage M mu k s a) n (successor M s a o)) =
    backup M (value M pi n) s a - backup M (value M mu n) s a.
  by rewrite /backup -meanB; apply: eq_mean => o; rewrite -ih; ring.
by rewrite /advantage; ring.
Qed.

(** The same process, paid gamma phi(s') - phi(s) on top. *)
Definition shaped M (phi : S -> R) : mdp :=
  Mdp (chance M) (successor M)
      (fun s a o => reward M s a o + discount M * phi (successor M s a o) - phi s) (discount M).

(** Theorem 7, potential shaping telescopes. Along any episode, shaping changes the discounted sum
    of rewards by gamma^T phi(s_T) - phi(s_0), whatever is done in between. *)
Theorem shaping_telescopes M phi s y :
  earned (shaped M phi) (fun _ => reward (shaped M phi)) s y =
  earned M (fun _ => reward M) s y
  + discount M ^+ size y * phi (state_after M s y) - phi s.
Proof.
elim: y s => [|[a o] y ih] s /=; first by rewrite expr0; ring.
by rewrite ih exprS; ring.
Qed.

(** Theorem 7, for values. Where the potential is zero in every state in which the episode can
    stop, shaping takes the same phi(s_0) off the value of every policy: which policy is better,
    by how much, and every policy gradient stay as they are. *)
Theorem shaped_value M phi pi n s :
  (forall y, size y = n -> phi (state_after M s y) = 0) ->
  value (shaped M phi) pi n s = value M pi n s - phi s.
Proof.
rewrite /value; elim: n s => [|n ih] s stop /=; first by rewrite (stop [::]) // subr0.
rewrite -[phi s in RHS](mean_const (pi n s)) -meanB; apply: eq_mean => a.
rewrite -[phi s in RHS](mean_const (chance M s a)) -meanB; apply: eq_mean => o.
rewrite ih => [|y yn]; first by ring.
by apply: (stop ((a, o) :: y)); rewrite /= yn.
Qed.

End Mdp.

(** Values are means over whole trajectories, drawn by the policy and chance in turns. *)
Section Trajectories.
Variables (R : realFieldType) (S : Type) (A O : finType).
Implicit Types (M : mdp R S A O) (pi : plan R S A) (s : S).

Lemma joint_ge0 (p : law R A) (q : A -> law R O) (x : A * O) : 0 <= p x.1 * q x.1 x.2.
Proof. by rewrite mulr_ge0 ?mass_ge0. Qed.

Lemma sum_joint (p : law R A) (q : A -> law R O) (f : A * O -> R) :
  \sum_x p x.1 * q x.1 x.2 * f x = mean p (fun a => mean (q a) (fun o => f (a, o))).
Proof.
transitivity (\sum_a \sum_o p a * q a o * f (a, o)).
  by rewrite pair_bigA; apply: eq_bigr => -[a o] _.
apply: eq_bigr => a _.
by rewrite mulr_sumr; apply: eq_bigr => o _; rewrite mulrA.
Qed.

Lemma joint_sum1 (p : law R A) (q : A -> law R O) : \sum_x p x.1 * q x.1 x.2 = 1.
Proof.
under eq_bigr do rewrite -[p _ * _]mulr1.
by rewrite (sum_joint p q (fun=> 1)); under eq_mean do rewrite mean_const; rewrite mean_const.
Qed.

(** The law of an action and its outcome. *)
Definition joint (p : law R A) (q : A -> law R O) : law R [finType of A * O] :=
  Law (joint_ge0 p q) (joint_sum1 p q).

(** A process and a policy for [n] steps from [s] write trajectories as a policy writes strings:
    the token is an action together with its outcome, and none of them stops. *)
Definition play M pi n s : policy R [finType of A * O] := fun y =>
  joint (pi (n - (size y).+1)%N (state_after M s y)) (chance M (state_after M s y)).

Theorem expected_trajectory M pi f n s :
  expected M pi f n s = expectation pred0 (play M pi n s) n (earned M f s).
Proof.
elim: n s => [|n ih] s; first by rewrite expectation0.
rewrite expectationS /= [RHS]sum_joint /= subn1; apply: eq_mean => a; apply: eq_mean => o.
rewrite ih; transitivity (expectation pred0 (after (play M pi n.+1 s) [:: (a, o)]) n
  (fun y => f n s a o + discount M * earned M f (successor M s a o) y)).
  by rewrite /expectation (meanD _ (fun=> f n s a o)) mean_const meanZ.
apply: eq_expectation => y /stringsP[[t [e []]] //|[_ <-]]; by [].
Qed.

End Trajectories.

(** The optimum by backward induction, as value iteration computes it. *)
Section Optimum.
Variables (R : realFieldType) (S : Type) (A O : finType) (some_action : A).
Implicit Types (M : mdp R S A O) (pi : plan R S A) (s : S).

Lemma sure_ge0 (T : finType) (x y : T) : 0 <= (y == x)%:R :> R.
Proof. exact: ler0n. Qed.

Lemma sum_sure (T : finType) (x : T) (f : T -> R) : \sum_y (y == x)%:R * f y = f x.
Proof.
rewrite (bigD1 x) //= eqxx mul1r big1 ?addr0 // => y /negbTE ->.
by rewrite mul0r.
Qed.

Lemma sure_sum1 (T : finType) (x : T) : \sum_y (y == x)%:R = 1 :> R.
Proof. by under eq_bigr do rewrite -[_%:R]mulr1; rewrite (sum_sure x (fun=> 1)). Qed.

(** The law that draws [x] for sure. *)
Definition sure (T : finType) (x : T) : law R T := Law (sure_ge0 x) (sure_sum1 x).

Lemma mean_sure (T : finType) (x : T) f : mean (sure x) f = f x.
Proof. exact: sum_sure. Qed.

(** V* = max_a Q*, from the last step back. *)
Fixpoint optimal M n s : R :=
  if n is k.+1 then
    backup M (optimal M k) s [arg max_(a > some_action) backup M (optimal M k) s a]%O
  else 0.

(** The action with the largest Q*, for sure. *)
Definition greedy M : plan R S A := fun k s =>
  sure [arg max_(a > some_action) backup M (optimal M k) s a]%O.

Lemma backup_optimal M k s a : backup M (optimal M k) s a <= optimal M k.+1 s.
Proof. by rewrite /=; case: arg_maxP => // b _; apply. Qed.

(** Theorem 5, optima of the process. No policy is worth more than backward induction finds, and
    the greedy one is worth that much. *)
Theorem value_le_optimal M pi n s : 0 <= discount M -> value M pi n s <= optimal M n s.
Proof.
move=> g0; elim: n s => [|n ih] s; first by [].
rewrite valueS -[leRHS](mean_const (pi n s)); apply: ler_mean => a.
apply: le_trans (backup_optimal M n s a); apply: ler_mean => o.
by rewrite ler_add2l ler_wpmul2l.
Qed.

Theorem value_greedy M n s : value M (greedy M) n s = optimal M n s.
Proof.
elim: n s => [|n ih] s //; rewrite valueS mean_sure /=.
by apply: eq_mean => o; rewrite ih.
Qed.

End Optimum.

Arguments mdp R S A O : clear implicits.
Arguments plan R S A : clear implicits.

(** The hypotheses of [shaped_value] and [value_le_optimal] hold of a process that leaves its first
    state for good, with a potential of 5 there. *)
Section Instance.
Variable R : realFieldType.

Definition leave : mdp R bool [finType of unit] [finType of unit] :=
  Mdp (fun _ _ => sure R tt) (fun _ _ _ => true) (fun s _ _ => if s then 0 else 1) 1.

Example shaped_value_instance s n (y : seq (unit * unit)) : size y = n.+1 ->
  (if state_after leave s y then 0 else 5 : R) = 0.
Proof. by case: y => // -[a o] y _ /=; elim: y => [|[? ?] y ih]. Qed.

Example value_le_optimal_instance : 0 <= discount leave.
Proof. exact: ler01. Qed.

End Instance.
