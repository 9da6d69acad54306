(** A policy valued and improved from another's draws, or through a critic.

    Theorem 17: inverse propensity scores, the doubly robust value, and advantages from a
    wrong critic. Division by zero is zero here, so a weight [pi y / mu y] is zero at a
    string that the sampler never draws. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From BanditRlhf Require Import Bandit.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Image.
Variables (R : realFieldType) (T U : finType).
Implicit Types (p q : law R T) (f : T -> U).

Lemma image_ge0 p f u : 0 <= \sum_(x | f x == u) p x.
Proof. by apply: sumr_ge0 => x _; apply: mass_ge0. Qed.

Lemma image_sum1 p f : \sum_u \sum_(x | f x == u) p x = 1.
Proof. by rewrite -(mass_sum1 p) [RHS](partition_big f predT). Qed.

(** The law of [f x] where x is drawn from [p]: of a prefix where [f] cuts a string. *)
Definition image p f : law R U := Law (image_ge0 p f) (image_sum1 p f).

Lemma mean_image p f (g : U -> R) : mean (image p f) g = mean p (fun x => g (f x)).
Proof.
rewrite /mean [RHS](partition_big f predT) //=; apply: eq_bigr => u _.
by rewrite mulr_suml; apply: eq_bigr => x /eqP ->.
Qed.

Lemma image_eq0 p f u : image p f u = 0 -> forall x, f x = u -> p x = 0.
Proof.
move=> /eqP; rewrite psumr_eq0 => [/allP e x fx|x _]; last exact: mass_ge0.
by apply/eqP/(implyP (e x (mem_index_enum _))); rewrite fx.
Qed.

Lemma supported_image p q f : supported p q -> supported (image p f) (image q f).
Proof. by move=> pq u q0; apply: big1 => x /eqP fx; apply/pq/(image_eq0 q0). Qed.

End Image.

Section Propensity.
Variables (R : realFieldType) (T : finType).
Implicit Types (pi mu : law R T) (reward model claimed : T -> R).

(** The weight of a draw: how much likelier the policy is to say it than the sampler. *)
Definition weight pi (claimed : T -> R) y : R := pi y / claimed y.

(** Theorem 17, inverse propensity scores. Where the sampler says all that the policy says,
    the reward weighed by pi/mu has, under the sampler, the policy's expected reward as mean. *)
Theorem ips_unbiased pi mu reward : supported pi mu ->
  mean mu (fun y => weight pi mu y * reward y) = mean pi reward.
Proof.
move=> sup; apply: eq_bigr => y _; rewrite /weight.
have [m0|m0] := eqVneq (mu y) 0; first by rewrite m0 (sup y m0) !mul0r.
by rewrite mulrA mulrCA divff // mulr1.
Qed.

(** Theorem 17, many draws. The average over a batch is unbiased too, whatever the dependence
    between its draws, as long as each of them is distributed as the sampler. *)
Theorem ips_unbiased_batch (B : finType) (batch : law R B) n (draw : 'I_n.+1 -> B -> T) pi mu
    reward : supported pi mu -> (forall i, image batch (draw i) =1 mu) ->
  mean batch (fun b => (\sum_i weight pi mu (draw i b) * reward (draw i b)) / n.+1%:R)
    = mean pi reward.
Proof.
move=> sup drawn; pose g y := weight pi mu y * reward y.
have -> : mean batch (fun b => (\sum_i g (draw i b)) / n.+1%:R)
    = (\sum_i mean batch (fun b => g (draw i b))) / n.+1%:R.
  rewrite /mean [in RHS]exchange_big /= mulr_suml; apply: eq_bigr => b _.
  by rewrite -mulr_sumr mulrA.
under eq_bigr => i _.
  rewrite -mean_image (_ : mean _ g = mean pi reward); first over.
  by rewrite -(ips_unbiased reward sup); apply: eq_bigr => y _; rewrite drawn.
by rewrite sumr_const card_ord -[X in X / _]mulr_natr mulfK // pnatr_eq0.
Qed.

(** Theorem 17, any other weight. Weights [w] instead of pi/mu are off by the mean, under the
    sampler, of the difference: the bias of a clip, with w = min(pi/mu, c). *)
Theorem weights_bias pi mu reward (w : T -> R) : supported pi mu ->
  mean mu (fun y => w y * reward y) - mean pi reward
    = mean mu (fun y => (w y - weight pi mu y) * reward y).
Proof.
move=> sup; rewrite -(ips_unbiased reward sup) -meanB.
by apply: eq_mean => y; rewrite mulrBl.
Qed.

(** The doubly robust estimate from one draw: the model's value of the policy, corrected by
    the weighed error of the model at the draw. [claimed] is what the sampler is said to be. *)
Definition doubly_robust pi claimed model reward y : R :=
  mean pi model + weight pi claimed y * (reward y - model y).

(** Theorem 17, the doubly robust bias. It is the product of both errors: of the model, and of
    the claim about the sampler. *)
Theorem doubly_robust_bias pi mu claimed model reward :
  mean mu (doubly_robust pi claimed model reward) - mean pi reward
    = \sum_y pi y * (model y - reward y) * (1 - mu y / claimed y).
Proof.
rewrite /doubly_robust meanD mean_const addrAC -meanB /mean -big_split /=.
by apply: eq_bigr => y _; rewrite /weight; ring.
Qed.

(** Theorem 17, a right model. If the model is right wherever the policy goes, the doubly robust
    value is unbiased whatever the sampler is said to be. *)
Theorem doubly_robust_right_model pi mu claimed model reward :
  (forall y, pi y != 0 -> model y = reward y) ->
  mean mu (doubly_robust pi claimed model reward) = mean pi reward.
Proof.
move=> right; apply/eqP; rewrite -subr_eq0 doubly_robust_bias; apply/eqP; apply: big1 => y _.
have [->|/right ->] := eqVneq (pi y) 0; first by rewrite !mul0r.
by rewrite subrr mulr0 mul0r.
Qed.

(** Theorem 17, a right sampler. If the sampler is what it is said to be and says all that the
    policy says, the doubly robust value is unbiased whatever the model. *)
Theorem doubly_robust_right_sampler pi mu model reward : supported pi mu ->
  mean mu (doubly_robust pi mu model reward) = mean pi reward.
Proof.
move=> sup; apply/eqP; rewrite -subr_eq0 doubly_robust_bias; apply/eqP; apply: big1 => y _.
have [m0|m0] := eqVneq (mu y) 0; first by rewrite (sup y m0) !mul0r.
by rewrite divff // subrr mulr0.
Qed.

End Propensity.

(** Theorem 17, per decision. A reward seen after a prefix may be weighed by that prefix alone:
    [cut] takes a string to the prefix on which the reward depends. *)
Theorem per_decision_unbiased (R : realFieldType) (T U : finType) (cut : T -> U)
    (pi mu : law R T) (reward : U -> R) : supported pi mu ->
  mean mu (fun y => image pi cut (cut y) / image mu cut (cut y) * reward (cut y))
    = mean pi (fun y => reward (cut y)).
Proof.
move=> sup; rewrite -(mean_image pi) -(ips_unbiased reward (@supported_image _ _ _ _ _ cut sup)).
by rewrite mean_image.
Qed.

Section Trajectory.
Variables (R : realFieldType) (gamma lambda : R) (reward value error : nat -> R) (n : nat).

(** The error of one step: r_t + gamma V(s_(t+1)) - V(s_t). *)
Definition td_error (value : nat -> R) t : R := reward t + gamma * value t.+1 - value t.

(** The generalised advantage at step [t] of a trajectory of [n] steps:
    the sum of (gamma lambda)^(k - t) (r_k + gamma V(s_(k+1)) - V(s_k)) over k = t, ..., n - 1. *)
Definition gae (value : nat -> R) t : R :=
  \sum_(t <= k < n) (gamma * lambda) ^+ (k - t) * td_error value k.

(** The discounted return from step [t] on. *)
Definition return_to_go t : R := \sum_(t <= k < n) gamma ^+ (k - t) * reward k.

Lemma gae_last v : gae v n = 0.
Proof. by rewrite /gae big_geq. Qed.

(** The recursion by which advantages are computed, from the end backwards. *)
Lemma gae_recursion v t : (t < n)%N -> gae v t = td_error v t + gamma * lambda * gae v t.+1.
Proof.
move=> tn; rewrite /gae big_ltn // subnn expr0 mul1r; congr (_ + _).
rewrite mulr_sumr; apply: eq_big_nat => k /andP[tk _].
by rewrite mulrA -exprS subnSK.
Qed.

Lemma return_recursion t : (t < n)%N -> return_to_go t = reward t + gamma * return_to_go t.+1.
Proof.
move=> tn; rewrite /return_to_go big_ltn // subnn expr0 mul1r; congr (_ + _).
rewrite mulr_sumr; apply: eq_big_nat => k /andP[tk _].
by rewrite mulrA -exprS subnSK.
Qed.

(** From the last step backwards. *)
Lemma backwards (P : nat -> Prop) :
  P n -> (forall t, (t < n)%N -> P t.+1 -> P t) -> forall t, (t <= n)%N -> P t.
Proof.
move=> Pn step t tn; rewrite -(subKn tn); have := leq_subr t n.
elim: (n - t)%N => [|d IH] dn; first by rewrite subn0.
apply: step; first by rewrite ltn_subrL (leq_trans _ dn).
by rewrite subnSK //; apply/IH/ltnW.
Qed.

(** Theorem 17, what a wrong critic does to one trajectory. If the critic is off by [error],
    which is zero at the end, then each advantage is off by minus the error at its own state,
    and by (1 - lambda) gamma times a lambda-weighted sum of the errors at later states. *)
Theorem gae_wrong_critic t : error n = 0 -> (t < n)%N ->
  gae (fun k => value k + error k) t - gae value t
    = - error t + (1 - lambda) * gamma *
        \sum_(t.+1 <= k < n) (gamma * lambda) ^+ (k - t.+1) * error k.
Proof.
move=> end0; move: t; suff : forall t, (t <= n)%N -> (t < n)%N ->
    gae (fun k => value k + error k) t - gae value t = - error t + (1 - lambda) * gamma *
      \sum_(t.+1 <= k < n) (gamma * lambda) ^+ (k - t.+1) * error k.
  by move=> all t tn; apply: all (ltnW tn) tn.
apply: backwards => [|t tn IH _]; first by rewrite ltnn.
rewrite !(gae_recursion _ tn) /td_error.
have [tn1|tn1] := ltnP t.+1 n; last first.
  have e1 : t.+1 = n by apply/eqP; rewrite eqn_leq tn1 tn.
  by rewrite e1 !gae_last big_geq // end0; ring.
have := IH tn1; rewrite [in X in _ -> X]big_ltn // subnn expr0 mul1r.
set s := \sum_(_ <= k < n) _; move/(canRL (subrK _)) => ->.
rewrite (_ : \sum_(t.+2 <= k < n) (gamma * lambda) ^+ (k - t.+1) * error k
  = gamma * lambda * s); first by ring.
rewrite /s mulr_sumr; apply: eq_big_nat => k /andP[tk _].
by rewrite mulrA -exprS subnSK.
Qed.

End Trajectory.

(** Theorem 17, lambda = 1 on one trajectory. The advantage is the return less the critic's
    value: a critic's error survives only as a baseline. *)
Theorem gae_lambda1 (R : realFieldType) (gamma : R) (reward value : nat -> R) n t :
  value n = 0 -> (t <= n)%N ->
  gae gamma 1 reward n value t = return_to_go gamma reward n t - value t.
Proof.
move=> end0; move: t; apply: backwards => [|t tn IH].
  by rewrite gae_last /return_to_go big_geq // end0 subrr.
by rewrite gae_recursion // return_recursion // IH /td_error; ring.
Qed.

Section Gradient.
Variables (R : realFieldType) (Run H : finType) (P : law R Run) (prefix : nat -> Run -> H).
Variables (gamma : R) (n : nat) (reward score : nat -> Run -> R).
Implicit Types (value error : nat -> Run -> R) (f g : Run -> R).

(** [f] is known at step [t]: it depends on the run only through the prefix before that step. *)
Definition known t f : Prop := forall w w', prefix t w = prefix t w' -> f w = f w'.

(** [f] has mean zero given the prefix before step [t]. *)
Definition centred t f : Prop := forall h, \sum_(w | prefix t w == h) P w * f w = 0.

Lemma centred_known t f g : centred t f -> known t g -> mean P (fun w => f w * g w) = 0.
Proof.
move=> cf kg; rewrite /mean (partition_big (prefix t) predT) //=; apply: big1 => h _.
have [w0 /eqP w0h|none] := pickP (fun w => prefix t w == h); last by rewrite big_pred0.
transitivity ((\sum_(w | prefix t w == h) P w * f w) * g w0); last by rewrite cf mul0r.
by rewrite mulr_suml; apply: eq_bigr => w /eqP wh; rewrite mulrA (kg w w0) // w0h.
Qed.

(** The mean update of a policy gradient with advantages from a critic, one coordinate of it:
    E sum_t grad ln pi(a_t|s_t) A_t, where [score t] is grad ln pi(a_t|s_t). *)
Definition update lambda value : R := mean P (fun w =>
  \sum_(0 <= t < n) score t w * gae gamma lambda (reward^~ w) n (value^~ w) t).

(** The same with the returns themselves: the policy gradient. *)
Definition policy_gradient : R := mean P (fun w =>
  \sum_(0 <= t < n) score t w * return_to_go gamma (reward^~ w) n t).

Lemma mean_sum (m k : nat) (F : nat -> Run -> R) :
  mean P (fun w => \sum_(m <= t < k) F t w) = \sum_(m <= t < k) mean P (F t).
Proof. by rewrite /mean; under eq_bigr do rewrite mulr_sumr; rewrite exchange_big. Qed.

(** Theorem 17, the bias of a wrong critic. Errors [error] of the critic, zero at the end, move
    the mean update by (1 - lambda) gamma times the sum, over steps t and later steps k, of
    (gamma lambda)^(k - t - 1) E[grad ln pi(a_t|s_t) error(s_k)]; nothing else moves. *)
Theorem gae_update_bias lambda value error :
  (forall t, (t < n)%N -> centred t (score t)) ->
  (forall t, (t < n)%N -> known t (error t)) -> (forall w, error n w = 0) ->
  update lambda (fun t w => value t w + error t w) - update lambda value
    = (1 - lambda) * gamma * \sum_(0 <= t < n) \sum_(t.+1 <= k < n)
        (gamma * lambda) ^+ (k - t.+1) * mean P (fun w => score t w * error k w).
Proof.
move=> cs ke end0; rewrite /update -meanB.
under eq_mean => w do rewrite -sumrB.
rewrite mean_sum mulr_sumr; apply: eq_big_nat => t /andP[_ tn].
under eq_mean => w do rewrite -mulrBr gae_wrong_critic // mulrDr mulrN.
rewrite meanD (_ : mean P (fun w => - _) = 0) ?add0r; last first.
  rewrite -(oppr0 R) -(centred_known (cs t tn) (ke t tn)) /mean -sumrN.
  by apply: eq_bigr => w _; rewrite mulrN.
under eq_mean => w do rewrite mulrCA.
rewrite meanZ; congr (_ * _).
under eq_mean => w do rewrite mulr_sumr.
rewrite mean_sum; apply: eq_bigr => k _.
by rewrite -meanZ; apply: eq_mean => w; rewrite mulrCA.
Qed.

(** Theorem 17, lambda = 1. Then no error of the critic moves the mean update: it is the policy
    gradient, whatever the critic says of prefixes, as long as the end is worth nothing. *)
Theorem gae_update_lambda1 value :
  (forall t, (t < n)%N -> centred t (score t)) ->
  (forall t, (t < n)%N -> known t (value t)) -> (forall w, value n w = 0) ->
  update 1 value = policy_gradient.
Proof.
move=> cs kv end0; apply/eqP; rewrite -subr_eq0 -meanB; apply/eqP.
under eq_mean => w do rewrite -sumrB.
rewrite mean_sum; apply: big1_seq => t; rewrite mem_index_iota => /andP[_ /andP[_ tn]].
under eq_mean => w do rewrite -mulrBr gae_lambda1 ?(ltnW tn) // addrAC subrr add0r mulrN -mulN1r.
by rewrite meanZ (centred_known (cs t tn) (kv t tn)) mulr0.
Qed.

(** Theorem 17, a right critic. If the critic's one-step errors have mean zero given the prefix,
    which says that its values are the policy's, every lambda gives the policy gradient. *)
Theorem gae_update_right_critic lambda value :
  (forall t w w', prefix t.+1 w = prefix t.+1 w' -> prefix t w = prefix t w') ->
  (forall t, (t < n)%N -> centred t (score t)) ->
  (forall t, (t < n)%N -> known t.+1 (score t)) ->
  (forall t, (t < n)%N -> known t (value t)) -> (forall w, value n w = 0) ->
  (forall t, (t < n)%N -> centred t (fun w => td_error gamma (reward^~ w) (value^~ w) t)) ->
  update lambda value = policy_gradient.
Proof.
move=> grow cs ks kv end0 cd; rewrite -(gae_update_lambda1 cs kv end0).
have later t k f : (t <= k)%N -> known t f -> known k f.
  move=> + kf w w'; elim: k => [|k IH]; first by rewrite leqn0 => /eqP <- /kf.
  by rewrite leq_eqVlt => /predU1P[<- /kf//|tk /grow/IH]; apply.
suff only l : update l value = \sum_(0 <= t < n)
    mean P (fun w => score t w * td_error gamma (reward^~ w) (value^~ w) t).
  by rewrite !only.
rewrite /update mean_sum; apply: eq_big_nat => t /andP[_ tn].
under eq_mean => w do rewrite gae_recursion // mulrDr.
rewrite meanD [X in _ + X](_ : _ = 0) ?addr0 // /gae.
under eq_mean => w do rewrite mulrCA mulr_sumr.
rewrite meanZ mean_sum big1_seq ?mulr0 // => k; rewrite mem_index_iota => /andP[_ /andP[tk kn]].
under eq_mean => w do rewrite mulrCA [score t w * _]mulrC.
by rewrite meanZ (centred_known (cd k kn) (later _ _ _ tk (ks t tn))) mulr0.
Qed.

(** Theorem 17, the bias of the gradient. Let [value] be the values of the policy and let the
    critic be off by [error]. The mean update is the policy gradient and, beside it, (1 - lambda)
    gamma sum_t sum_(k > t) (gamma lambda)^(k - t - 1) E[grad ln pi(a_t|s_t) error(s_k)]. *)
Theorem gae_gradient_bias lambda value error :
  (forall t w w', prefix t.+1 w = prefix t.+1 w' -> prefix t w = prefix t w') ->
  (forall t, (t < n)%N -> centred t (score t)) ->
  (forall t, (t < n)%N -> known t.+1 (score t)) ->
  (forall t, (t < n)%N -> known t (value t)) -> (forall w, value n w = 0) ->
  (forall t, (t < n)%N -> centred t (fun w => td_error gamma (reward^~ w) (value^~ w) t)) ->
  (forall t, (t < n)%N -> known t (error t)) -> (forall w, error n w = 0) ->
  update lambda (fun t w => value t w + error t w) - policy_gradient
    = (1 - lambda) * gamma * \sum_(0 <= t < n) \sum_(t.+1 <= k < n)
        (gamma * lambda) ^+ (k - t.+1) * mean P (fun w => score t w * error k w).
Proof.
move=> grow cs ks kv end0 cd ke e0; rewrite -(gae_update_bias lambda value cs ke e0).
by rewrite (gae_update_right_critic lambda grow cs ks kv end0 cd).
Qed.

End Gradient.

(** A coin that shows [true] with probability [h]. *)
Section Coin.
Variables (R : realFieldType) (h : R) (h01 : 0 <= h <= 1).

Lemma coin_ge0 (b : bool) : 0 <= if b then h else 1 - h.
Proof. by case: b; rewrite ?subr_ge0; case/andP: h01. Qed.

Lemma coin_sum1 : \sum_(b : bool) (if b then h else 1 - h) = 1.
Proof. by rewrite big_bool /= addrC subrK. Qed.

Definition coin : law R bool_finType := Law coin_ge0 coin_sum1.

Lemma mean_coin f : mean coin f = h * f true + (1 - h) * f false.
Proof. by rewrite /mean big_bool. Qed.

End Coin.

Lemma half01 (R : realFieldType) : 0 <= (1 / 2 : R) <= 1.
Proof. by rewrite divr_ge0 ?ler01 ?ler0n //= ler_pdivr_mulr ?ltr0n // mul1r ler1n. Qed.

(** Instances that satisfy the hypotheses above. *)
Section Instances.
Variable R : realFieldType.

Lemma one01 : 0 <= (1 : R) <= 1.
Proof. by rewrite ler01 lexx. Qed.

(** A sampler that tosses a fair coin supports the policy that always says [true], whose weights
    there are 2 and 0. *)
Example propensity_instance : let pi := coin one01 in let mu := coin (half01 R) in
  [/\ supported pi mu, weight pi mu true = 2 & weight pi mu false = 0].
Proof.
have two : 1 / 2 != 0 :> R by rewrite mulf_neq0 ?oner_eq0 ?invr_eq0 ?pnatr_eq0.
split; rewrite /weight /=; last by rewrite subrr mul0r.
  move=> [] /= /eqP; first by rewrite (negbTE two).
  by rewrite subrr.
by field.
Qed.

(** Independent draws from the sampler. *)
Section Independent.
Variables (T : finType) (mu : law R T) (n : nat).

Lemma independent_ge0 (b : {ffun 'I_n -> T}) : 0 <= \prod_i mu (b i).
Proof. by apply: prodr_ge0 => i _; apply: mass_ge0. Qed.

Lemma independent_sum1 : \sum_(b : {ffun 'I_n -> T}) \prod_i mu (b i) = 1.
Proof.
rewrite -(bigA_distr_bigA (fun _ => mu)).
by apply: big1 => i _; apply: mass_sum1. Qed.

Definition independent : law R [finType of {ffun 'I_n -> T}] :=
  Law independent_ge0 independent_sum1.

(** Each of several independent draws is distributed as the sampler: the hypothesis of
    [ips_unbiased_batch] holds for them. *)
Lemma independent_draw i : image independent (fun b => b i) =1 mu.
Proof.
move=> y /=; rewrite big_mkcond /=.
pose F j z := if (j == i) && (z != y) then 0 else mu z.
rewrite (eq_bigr (fun b : {ffun 'I_n -> T} => \prod_j F j (b j))) => [|b _]; last first.
  have [biy|by_] := eqVneq (b i) y.
    by apply: eq_bigr => j _; rewrite /F; case: eqP => // ->; rewrite biy eqxx.
  by rewrite (bigD1 i) //= /F eqxx by_ mul0r.
rewrite -(bigA_distr_bigA F) (bigD1 i) //= [X in _ * X]big1 ?mulr1 => [|j ji]; last first.
  by rewrite -(mass_sum1 mu); apply: eq_bigr => z _; rewrite /F (negbTE ji).
rewrite (bigD1 y) //= big1 => [|z zy]; rewrite /F !eqxx //=; last by rewrite zy.
exact: addr0.
Qed.

End Independent.

(** Two steps: a word, [true] or [false] with even chances, then an end that pays 1 after [true].
    The score is that of a softmax over the two words. *)
Definition said t (w : bool) : option bool := if t is 0%N then None else Some w.
Definition said_reward t (w : bool) : R := if t == 1%N then w%:R else 0.
Definition said_score t (w : bool) : R := if t == 0%N then w%:R - 1 / 2 else 0.
Definition said_value t (w : bool) : R := match t with 0%N => 1 / 2 | 1%N => w%:R | _ => 0 end.

(** A critic that takes the two words for one another. *)
Definition said_error t (w : bool) : R := if t == 1%N then 1 - 2 * w%:R else 0.

(** All hypotheses of [gae_gradient_bias] hold of it. *)
Example gae_instance : let P := coin (half01 R) in
  [/\ forall t w w', said t.+1 w = said t.+1 w' -> said t w = said t w',
      forall t, (t < 2)%N -> centred P said t (said_score t),
      forall t, (t < 2)%N -> known said t.+1 (said_score t) &
      forall t, (t < 2)%N -> known said t (said_value t)] /\
  [/\ forall w, said_value 2%N w = 0,
      forall t, (t < 2)%N ->
        centred P said t (fun w => td_error 1 (said_reward^~ w) (said_value^~ w) t),
      forall t, (t < 2)%N -> known said t (said_error t) &
      forall w, said_error 2%N w = 0].
Proof.
have two : 2 != 0 :> R by rewrite pnatr_eq0.
split; split=> //.
- by case=> [|t] w w' // [->].
- move=> [|[|//]] _ h; last by apply: big1 => w _; rewrite mulr0.
  rewrite big_mkcond big_bool /said_score /=; case: eqP => _; [by field | by rewrite addr0].
- by move=> [|[|//]] _ w w' // [->].
- by move=> [|[|//]] _ w w' // [->].
- move=> [|[|//]] _ h; last first.
    by apply: big1 => w _; rewrite /td_error /said_reward /= mulr0 addr0 subrr mulr0.
  rewrite big_mkcond big_bool /td_error /said_reward /said_value /=.
  by case: eqP => _; [by field | by rewrite addr0].
- by move=> [|[|//]] _ w w' // [->].
Qed.

End Instances.
