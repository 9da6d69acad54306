(** Policy gradients of both views: of the law over whole strings, and of the token MDP.
    Theorem 6.

    The score(s, a) stands for the derivative of ln pi(a|s) in some direction. All that is used of
    it is that its mean under pi(.|s) is zero (theorem 1): the statement is about the two sums that
    are called policy gradients. That either is the derivative of the value is not shown here. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From BanditRlhf Require Import Bandit Language Prefix Mdp TokenMdp.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Lemma expand_product (R : realFieldType) (p q u v : R) :
  (p + u) * (q + v) = p * q + q * u + (p * v + u * v).
Proof. by ring. Qed.

Section Views.
Variables (R : realFieldType) (A : finType) (stops : pred A).
Local Notation expectation := (expectation stops).
Implicit Types (pi : policy R A) (s y : seq A) (a : A) (r score : seq A -> A -> R).

(** Q of the token MDP paid r: token [a] after prefix [s], horizon [n], then on with [pi]. *)
Definition token_q r pi n s a : R :=
  backup (token_mdp stops r) (value (token_mdp stops r) (fun _ => pi) (n - (size s).+1)) s a.

(** V of the token MDP at prefix [s]. *)
Definition token_v r pi n s : R := value (token_mdp stops r) (fun _ => pi) (n - size s) s.

(** A policy gradient by strings: the whole string's reward times the sum of its scores. *)
Definition string_gradient r pi score n : R :=
  expectation pi n (fun y => along r y * along score y).

(** A policy gradient by tokens: each token's score times its advantage Q - V. *)
Definition token_gradient r pi score n : R :=
  expectation pi n (along (fun s a => score s a * (token_q r pi n s a - token_v r pi n s))).

(** Q written with strings: the token's own reward, and the mean of what comes after it. *)
Definition q_after r pi n s a : R :=
  r s a + (if stops a then 0
           else expectation (after pi (rcons s a)) (n - (size s).+1)
                  (along (fun t => r (rcons s a ++ t)))).

Lemma token_qE r pi n s a : ~~ has stops s -> token_q r pi n s a = q_after r pi n s a.
Proof.
move=> sn; rewrite /token_q /q_after backup_token //; congr (_ + _).
case: ifP => sa; first by rewrite value_stopped // has_rcons sa.
by rewrite token_value_after // has_rcons sa.
Qed.

Lemma expectationM pi n f (c : R) : expectation pi n (fun y => c * f y) = c * expectation pi n f.
Proof. exact: meanZ. Qed.

(** The reward times the scores, averaged, is each score times the Q of its token. *)
Lemma string_gradient_q r pi score n : (forall s, mean (pi s) (score s) = 0) ->
  string_gradient r pi score n =
  expectation pi n (along (fun s a => score s a * q_after r pi n s a)).
Proof.
rewrite /string_gradient; elim: n r pi score => [|n ih] r pi score centred.
  by rewrite !expectation0 mulr0.
rewrite !expectationS; apply: eq_mean => a; case: ifP => sa /=.
  by rewrite /q_after sa !addr0 mulrC.
pose r' s := r (a :: s); pose c' s := score (a :: s); pose pi' := after pi [:: a].
have zero : expectation pi' n (along c') = 0.
  rewrite mean_along -[RHS](expectation_const stops pi' n 0).
  apply: eq_expectation => y _; rewrite alongE big1 // => t _; exact: centred.
transitivity (r [::] a * score [::] a + score [::] a * expectation pi' n (along r')
    + (r [::] a * expectation pi' n (along c')
    + expectation pi' n (fun y => along r' y * along c' y))).
  transitivity (expectation pi' n (fun y => r [::] a * score [::] a
      + score [::] a * along r' y + (r [::] a * along c' y + along r' y * along c' y))).
    by apply: eq_expectation => y _; apply: expand_product.
  by rewrite !expectationD !expectationM expectation_const.
rewrite zero mulr0 add0r (ih r' pi' c') => [|s]; last exact: centred.
rewrite expectationD expectation_const /q_after sa /= subn1 /=; congr (_ + _).
by rewrite mulrDr [r _ _ * _]mulrC.
Qed.

(** Theorem 6. The policy gradient of the bandit whose actions are strings and that of the token
    MDP are the same number, for every direction in which the policy can move (for which the score
    has mean zero after every prefix). *)
Theorem gradients_of_both_views_agree r pi score n : (forall s, mean (pi s) (score s) = 0) ->
  string_gradient r pi score n = token_gradient r pi score n.
Proof.
move=> centred; rewrite string_gradient_q // /token_gradient.
rewrite [LHS]mean_along [RHS]mean_along; apply: eq_expectation => y yn.
rewrite !alongE; apply: eq_bigr => t _.
have sn : ~~ has stops (take t y).
  have : unfinished stops n (take t y).
    apply: (@prefix_unfinished _ stops n _ (tnth (in_tuple y) t) (drop t.+1 y)).
    by rewrite (tnth_nth (tnth (in_tuple y) t)) -drop_nth ?cat_take_drop.
  by case/andP.
rewrite -[LHS]subr0 -[in LHS](mulr0 (token_v r pi n (take t y))) -(centred (take t y)).
rewrite -meanZ -meanB.
by apply: eq_mean => a; rewrite token_qE // mulrBr [_ * token_v _ _ _ _]mulrC.
Qed.

End Views.

(** Theorem 6's hypothesis holds of the coin, with the score of its logit doubled. *)
Example gradients_instance (R : realFieldType) (s : seq bool) :
  mean (coin_policy R s) (fun a => if a then 1 else -1) = 0.
Proof. by rewrite /mean big_bool /= mulr1 mulrN1 subrr. Qed.
