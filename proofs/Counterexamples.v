(** Where the bandit and the token MDP part: small worlds, in rational numbers.

    Theorems 28 (discount), 29 (a user's coin), 30 (length-normalised losses), 31 (a wrong critic)
    and 32 (Gibbs optimism on dialogues). In each, one assumption of the equivalence is dropped
    and a rational number says what it costs. The numbers are elements of any ordered field: of
    the rationals, and of the reals. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From BanditRlhf Require Import Bandit OffPolicy.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Discount.

(** What a string of [length] tokens is worth that earns [reward] at its last one. *)
Definition discounted (R : realFieldType) (gamma : R) (length : nat) (reward : R) : R :=
  gamma ^+ length.-1 * reward.

(** Theorem 28. Every discount below 1 prefers some shorter, worse string to a longer, better
    one; without a discount none does. *)
Theorem discount_prefers_shorter (R : realFieldType) (gamma : R) : 0 <= gamma -> gamma < 1 ->
  exists worse better : R, worse < better /\
    discounted gamma 2 better < discounted gamma 1 worse.
Proof.
move=> g0 g1; exists ((1 + gamma) / 2), 1; rewrite /discounted expr0 expr1 mul1r mulr1.
rewrite ltr_pdivr_mulr ?ltr0n // ltr_pdivl_mulr ?ltr0n //.
split; rewrite -subr_gt0; first by rewrite (_ : _ - _ = 1 - gamma) ?subr_gt0 //; ring.
by rewrite (_ : _ - _ = 1 - gamma) ?subr_gt0 //; ring.
Qed.

Theorem no_discount_prefers_better (R : realFieldType) m n (worse better : R) :
  worse < better -> discounted 1 m worse < discounted 1 n better.
Proof. by rewrite /discounted !expr1n !mul1r. Qed.

(** The strings of 1 to 8 tokens, that of l tokens earning l/8: as long as gamma is between 0 and
    7/8, one token less than the longest is preferred. *)
Theorem discount_threshold (R : realFieldType) (gamma : R) : 0 < gamma ->
  (discounted gamma 8 (8 / 8) < discounted gamma 7 (7 / 8) <-> gamma < 7 / 8).
Proof.
move=> g0; rewrite /discounted divff ?pnatr_eq0 // mulr1 exprSr.
by rewrite ltr_pmul2l ?exprn_gt0.
Qed.

(** At gamma = 7/10 the string of three tokens is the best of them, of any length: of eight tokens,
    5/8 of the reward are given away. *)
Theorem discount_gives_away (R : realFieldType) (l : nat) :
  discounted (7 / 10 : R) l.+1 (l.+1%:R / 8) <= discounted (7 / 10) 3 (3 / 8).
Proof.
pose gamma : R := 7 / 10; pose f l := discounted gamma l.+1 (l.+1%:R / 8).
have step k : f k.+1 - f k = gamma ^+ k * (7 * k.+2%:R - 10 * k.+1%:R) / 80.
  rewrite /f /discounted /= exprS; move: (gamma ^+ k) k.+1%:R k.+2%:R => g a b.
  rewrite /gamma; by field.
have scale k : 0 <= gamma ^+ k / 80 by rewrite !(divr_ge0, exprn_ge0, ler0n).
have up k : (k < 2)%N -> f k <= f k.+1.
  move=> k2; rewrite -subr_ge0 step mulrAC mulr_ge0 // subr_ge0 -!natrM ler_nat.
  by case: k k2 => [|[|//]].
have down k : (2 <= k)%N -> f k.+1 <= f k.
  move=> k2; rewrite -subr_le0 step mulrAC mulr_ge0_le0 // subr_le0 -!natrM ler_nat.
  case: k k2 => [|[|k]] // _; rewrite -[k.+4]addn4 -[k.+3]addn3 !mulnDr.
  by rewrite leq_add // leq_mul2r orbT.
suff all k : f (k + 2)%N <= f 2%N.
  case: l => [|[|l]]; last by rewrite -[l.+2]addn2; apply: all.
    exact: (le_trans (up 0%N isT) (up 1%N isT)).
  exact: (up 1%N isT).
elim: k => // k; apply: le_trans; rewrite addSn; apply: down; exact: leq_addl.
Qed.

End Discount.

Section UserCoin.
Variables (R : realFieldType) (h : R) (h01 : 0 <= h <= 1).

(** The user says heads, [true], with chance h, whatever was said. The agent's second word wins 1
    if it repeats what the user said. *)
Definition repeats (user second : bool) : R := (second == user)%:R.

(** What an agent earns that hears the user before its second word ... *)
Definition closed_loop (second : bool -> bool) : R :=
  mean (coin h01) (fun user => repeats user (second user)).

(** ... and one that commits itself to a whole string, drawn from a law. *)
Definition open_loop (strings : law R [finType of bool * bool]) : R :=
  mean strings (fun string => mean (coin h01) (fun user => repeats user string.2)).

(** Theorem 29, the closed loop. It earns 1, the most there is. *)
Theorem user_coin_closed_loop : closed_loop id = 1 /\ forall second, closed_loop second <= 1.
Proof.
split=> [|second]; first by rewrite /closed_loop mean_coin /repeats /= !mulr1 addrC subrK.
rewrite -[leRHS](mean_const (coin h01)); apply: ler_mean => user.
by rewrite /repeats; case: eqP; rewrite ?lexx ?ler01.
Qed.

(** Theorem 29, the open loop. No string, drawn or not, earns more than the likelier side of the
    coin: looking is worth 1 - max(h, 1 - h). *)
Theorem user_coin_open_loop strings : open_loop strings <= Order.max h (1 - h).
Proof.
rewrite -[leRHS](mean_const strings); apply: ler_mean => -[first []];
  by rewrite mean_coin /repeats /= !(mulr1, mulr0, addr0, add0r) le_maxr lexx ?orbT.
Qed.

End UserCoin.

(** Theorem 29, a fair coin. The closed loop earns 1, every string and every law of strings 1/2. *)
Theorem user_coin (R : realFieldType) : closed_loop (half01 R) id = 1 /\
  forall strings, open_loop (half01 R) strings = 1 / 2.
Proof.
split=> [|strings]; first exact: (user_coin_closed_loop _).1.
rewrite -[RHS](mean_const strings); apply: eq_mean => -[first []];
  by rewrite mean_coin /repeats /=; field.
Qed.

Section TwoCoins.
Variable R : realFieldType.

Lemma coins_ge0 (w : bool * bool) : 0 <= 1 / 4 :> R.
Proof. by rewrite divr_ge0 ?ler01 ?ler0n. Qed.

Lemma coins_sum1 : \sum_(w : bool * bool) 1 / 4 = 1 :> R.
Proof. by rewrite sumr_const card_prod card_bool -[LHS]mulr_natr divfK // pnatr_eq0. Qed.

(** Two tosses of a fair coin. *)
Definition coins : law R [finType of bool * bool] := Law coins_ge0 coins_sum1.

Lemma mean_coins (f : bool * bool -> R) : mean coins f =
  (f (true, true) + f (true, false) + f (false, true) + f (false, false)) / 4.
Proof.
transitivity (\sum_a \sum_b 1 / 4 * f (a, b)).
  by rewrite pair_bigA; apply: eq_bigr => -[].
by rewrite !big_bool /=; field.
Qed.

End TwoCoins.

Section LengthNormalisation.
Variable R : realFieldType.

(** A word is "a", [true], or the end, [false], with even chances: the strings are the bare end,
    "a" with an end, and "aa". After an end the second toss is not looked at. *)
Definition tokens (w : bool * bool) : R := if w.1 then 2 else 1.
Definition worth (w : bool * bool) : R := if w.1 then 1 else 4 / 5.

(** The score at equal logits: by the logit of "a" as the first word, and as the second. *)
Definition score_first (w : bool * bool) : R := w.1%:R - 1 / 2.
Definition score_second (w : bool * bool) : R := if w.1 then w.2%:R - 1 / 2 else 0.

(** The mean update of a loss that weighs each string by [f]. *)
Definition mean_update (f : bool * bool -> R) : R * R :=
  (mean (coins R) (fun w => f w * score_first w), mean (coins R) (fun w => f w * score_second w)).

(** Theorem 30. Writing on earns more, and the gradient says so; but strings weighed by reward over
    length say the reverse, so that a step along them lowers the expected reward. Subtracting the
    expected reward, 9/10, first keeps the sign here. *)
Theorem length_normalisation_reverses :
  [/\ mean (coins R) worth = 9 / 10,
      mean_update worth = (1 / 20, 0),
      mean_update (fun w => worth w / tokens w) = (- (3 / 40), 0) &
      mean_update (fun w => (worth w - 9 / 10) / tokens w) = (3 / 80, 0)].
Proof.
split; rewrite ?/mean_update !mean_coins /worth /tokens /score_first /score_second /=
  ?mulr1n ?mulr0n;
  [| congr (_, _) | congr (_, _) | congr (_, _)]; by field.
Qed.

(** Theorem 30, equal rewards. Where every string earns 1 there is nothing to learn, and the
    normalised loss teaches to end. *)
Theorem length_normalisation_teaches_length :
  mean_update (fun=> 1) = (0, 0) /\ mean_update (fun w => 1 / tokens w) = (- (1 / 8), 0).
Proof.
by split; rewrite /mean_update !mean_coins /tokens /score_first /score_second /=
  ?mulr1n ?mulr0n;
  congr (_, _); field.
Qed.

(** The expected reward where "a" is the first word with chance p rises with p. *)
Theorem writing_on_earns (p q : R) (p01 : 0 <= p <= 1) (q01 : 0 <= q <= 1) : p < q ->
  mean (coin p01) (fun a => worth (a, a)) < mean (coin q01) (fun a => worth (a, a)).
Proof.
move=> pq; rewrite !mean_coin /worth /= -subr_gt0.
rewrite (_ : _ - _ = (q - p) / 5); last by field.
by rewrite divr_gt0 ?subr_gt0 ?ltr0n.
Qed.

End LengthNormalisation.

Section WrongCritic.
Variable R : realFieldType.

(** The mean update in the world of [said], whose critic takes its two words for one another. *)
Definition wrong_update (lambda : R) : R :=
  update (coin (half01 R)) 1 2 (@said_reward R) (@said_score R) lambda
    (fun t w => said_value R t w + said_error R t w).
Definition right_gradient : R :=
  policy_gradient (coin (half01 R)) 1 2 (@said_reward R) (@said_score R).

(** Theorem 31. The policy gradient is 1/4. With the wrong critic the mean update is off by
    (lambda - 1) / 2: of the wrong sign at lambda = 0, too small below 1, right at lambda = 1. *)
Theorem wrong_critic lambda :
  right_gradient = 1 / 4 /\ wrong_update lambda = 1 / 4 - (1 - lambda) / 2.
Proof.
have e : right_gradient = 1 / 4.
  rewrite /right_gradient /policy_gradient /return_to_go mean_coin.
  rewrite !(@big_ltn _ _ _ 0) // !(@big_ltn _ _ _ 1) // !big_geq //.
  rewrite /said_score /said_reward /= ?mulr1n ?mulr0n; by field.
split=> //; case: (gae_instance R) => -[grow cs ks kv] [v0 cd ke e0].
have := gae_gradient_bias lambda grow cs ks kv v0 cd ke e0.
rewrite -/(wrong_update lambda) -/right_gradient e => /(canRL (subrK _)) ->.
rewrite !(@big_ltn _ _ _ 0) // !(@big_ltn _ _ _ 1) // !big_geq // subnn expr0 mean_coin.
rewrite /said_score /said_error /= ?mulr1n ?mulr0n; by field.
Qed.

End WrongCritic.

(** Theorem 31, at lambda = 0, 1/2 and 1. *)
Theorem wrong_critic_computed (R : realFieldType) :
  [/\ wrong_update (0 : R) = - (1 / 4), wrong_update (1 / 2 : R) = 0 &
      wrong_update (1 : R) = 1 / 4].
Proof. by split; rewrite (wrong_critic _).2; field. Qed.

Section Weighted.
Variables (R : realFieldType) (T : finType) (p : law R T) (w : T -> R).
Hypothesis w_gt0 : forall x, 0 < w x.

Lemma total_gt0 : 0 < mean p w.
Proof.
rewrite lt_def mean_ge0 ?andbT => [|x]; last exact: ltW.
apply/eqP => /eqP; rewrite psumr_eq0 => [/allP all0|x _]; last by rewrite mulr_ge0 ?mass_ge0 ?ltW.
suff : \sum_x p x = 0 by rewrite mass_sum1 => /eqP; rewrite oner_eq0.
apply: big1 => x _; apply/eqP; have := all0 x (mem_index_enum _).
by rewrite /= mulf_eq0 (gt_eqF (w_gt0 x)) orbF.
Qed.

Lemma weighted_ge0 x : 0 <= p x * w x / mean p w.
Proof. by rewrite divr_ge0 ?mulr_ge0 ?mass_ge0 // ltW ?total_gt0. Qed.

Lemma weighted_sum1 : \sum_x p x * w x / mean p w = 1.
Proof. by rewrite -mulr_suml divff // gt_eqF ?total_gt0. Qed.

(** The law proportional to p(x) w(x): a Gibbs law, with w = exp(r / beta). *)
Definition weighted : law R T := Law weighted_ge0 weighted_sum1.

End Weighted.

Section Dialogues.
Variables (R : realFieldType) (A U : finType).
Implicit Types (a : A) (u v : U) (p : law R [finType of A * U]).

(** How a law of conversations, of what the agent says and the user replies, chooses ... *)
Definition choice p a : R := \sum_u p (a, u).

(** ... and how it believes that the user then replies. *)
Definition dice p a u : R := p (a, u) / choice p a.

(** Theorem 32, whose dice are tilted. Weighing whole conversations leaves the user's replies to
    [a] alone exactly when all replies to [a] that can come weigh the same; so it does where the
    user is deterministic. *)
Theorem gibbs_tilts_user p (w : A * U -> R) (w0 : forall x, 0 < w x) a :
  (forall u, dice (weighted p w0) a u = dice p a u) <->
  (forall u v, 0 < p (a, u) -> 0 < p (a, v) -> w (a, u) = w (a, v)).
Proof.
have Z0 := total_gt0 p w0; have Zn : mean p w != 0 by rewrite gt_eqF.
pose S := \sum_u p (a, u) * w (a, u).
have wdice u : dice (weighted p w0) a u = p (a, u) * w (a, u) / S.
  by rewrite /dice /choice /= -mulr_suml -/S invf_div mulrA divfK.
split=> [same u v pu pv|same u].
  have pos z : 0 < p (a, z) -> w (a, z) = S / choice p a.
    move=> pz; have := same z; rewrite wdice /dice.
    have S0 : 0 < S.
      rewrite /S (bigD1 z) //= ltr_paddr ?mulr_gt0 //.
      by apply: sumr_ge0 => y _; rewrite mulr_ge0 ?mass_ge0 ?ltW.
    rewrite -mulrA => /(mulfI (lt0r_neq0 pz)) e.
    by rewrite -[LHS](divfK (lt0r_neq0 S0)) e mulrC.
  by rewrite !pos.
rewrite wdice /dice; have [->|pu] := eqVneq (p (a, u)) 0; first by rewrite !mul0r.
have {}pu : 0 < p (a, u) by rewrite lt_def pu mass_ge0.
have -> : S = choice p a * w (a, u).
  rewrite /choice mulr_suml; apply: eq_bigr => v _.
  have [->|pv] := eqVneq (p (a, v)) 0; first by rewrite !mul0r.
  by rewrite (same v u) // lt_def pv mass_ge0.
by rewrite -mulf_div divff ?mulr1 // gt_eqF.
Qed.

End Dialogues.

Section Optimism.
Variable R : realFieldType.

(** The agent takes a safe 0.6, [false], or lets the user toss a fair coin, [true], for 1 or 0. *)
Definition earns (w : bool * bool) : R := if w.1 then (w.2)%:R else 6 / 10.

(** exp(r / beta), with beta such that exp(1 / beta) = 1024: of 0.6 it is 64, of 1/2 it is 32. *)
Definition boltzmann (w : bool * bool) : R := if w.1 then (if w.2 then 1024 else 1) else 64.

Lemma boltzmann_gt0 w : 0 < boltzmann w.
Proof. by case: w => -[] []; rewrite /boltzmann /= ?ltr01 ?ltr0n. Qed.

Lemma boltzmann_exp w : boltzmann w ^+ 10 = 1024 ^+ (if w.1 then (if w.2 then 10 else 0) else 6)%N.
Proof. by case: w => -[] []; rewrite /boltzmann /=; ring. Qed.

(** The expected reward where the agent gambles with chance [g] and the coin is fair. *)
Definition earned (g : R) : R := g * (1 / 2) + (1 - g) * (6 / 10).

(** Theorem 32. Tilting whole conversations gambles in 1025 cases of 1153, believing in a coin that
    shows heads in 1024 cases of 1025, and earns less than the reference; the soft-Bellman policy,
    which cannot tilt the coin, gambles in one case of three and earns more. *)
Theorem gibbs_optimism : let gibbs := weighted (coins R) boltzmann_gt0 in
  [/\ choice gibbs true = 1025 / 1153, dice gibbs true true = 1024 / 1025,
      dice (coins R) true true = 1 / 2 &
      earned (choice gibbs true) < earned (choice (coins R) true) < earned (32 / (32 + 64))].
Proof.
have Z : mean (coins R) boltzmann = 1153 / 4 by rewrite mean_coins /boltzmann /=; field.
have c : choice (weighted (coins R) boltzmann_gt0) true = 1025 / 1153.
  by rewrite /choice big_bool /= Z /boltzmann /=; field.
have half : choice (coins R) true = 1 / 2 by rewrite /choice big_bool /=; field.
split=> //; rewrite ?c ?half.
- by rewrite /dice c /= Z /boltzmann /=; field.
- by rewrite /dice half /=; field.
rewrite -subr_gt0 -[X in _ && X]subr_gt0 /earned.
rewrite (_ : _ - _ = 897 / 23060); last by field.
by rewrite (_ : _ - _ = 1 / 60) ?divr_gt0 ?ltr01 ?ltr0n //; field.
Qed.

End Optimism.
