(** Rewards that are wrong: how they are gamed, and what helps.

    Theorems 21 (weight averaging), 24 (abstention), 26 (merging strings), 37 (catastrophic
    Goodhart) and 38 (pessimism). [proxy] is the reward that is optimised, [gold] the one meant. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From mathcomp Require Import boolp classical_sets reals topology normedtype sequences derive exp.
From BanditRlhf Require Import Bandit Divergence OffPolicy.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Abstention.
Variable R : realFieldType.
Implicit Types p lambda : R.

(** What an answer earns that is right with probability [p], where a right one earns 1, a wrong
    one loses [lambda], and saying "I do not know" earns 0. *)
Definition answer_value p lambda : R := p - lambda * (1 - p).

(** Theorem 24. Answering beats abstaining exactly when the chance of being right exceeds
    lambda / (1 + lambda). *)
Theorem abstention_threshold p lambda : 0 <= lambda ->
  (0 < answer_value p lambda <-> lambda / (1 + lambda) < p).
Proof.
move=> l0; have l1 : 0 < 1 + lambda by rewrite ltr_paddr // ltr01.
rewrite ltr_pdivr_mulr // -[lambda < _]subr_gt0.
by rewrite (_ : p * (1 + lambda) - lambda = answer_value p lambda) // /answer_value; ring.
Qed.

(** What a rule earns that answers some of the questions, drawn from a law; [p q] is the chance
    of being right on question [q]. *)
Definition rule_value (Q : finType) (questions : law R Q) (p : Q -> R) lambda (answers : pred Q) :=
  mean questions (fun q => if answers q then answer_value (p q) lambda else 0).

(** Theorem 24, over many questions. No rule earns more than the threshold's. *)
Theorem threshold_rule_best (Q : finType) (questions : law R Q) (p : Q -> R) lambda
    (answers : pred Q) : 0 <= lambda ->
  rule_value questions p lambda answers
    <= rule_value questions p lambda (fun q => lambda / (1 + lambda) < p q).
Proof.
move=> l0; apply: ler_mean => q /=; have th := abstention_threshold (p q) l0.
case: (boolP (_ < p q)) => [/th.2 a0|low]; case: ifP => // _; first exact: ltW.
by rewrite leNgt; apply: contra low => /th.1.
Qed.

(** A wrong answer that costs as much as a right one earns: answer where right is likelier. *)
Example abstention_instance : 1 / (1 + 1) = 1 / 2 :> R /\ 0 <= 1 :> R.
Proof. by split; [congr (_ / _); rewrite -natrD | exact: ler01]. Qed.

End Abstention.

Section WeightAveraging.
Variables (R : realFieldType) (T : Type) (K M : finType) (feature : K -> T -> R).

(** A reward linear in its weights: the sum of w_k phi_k(y). *)
Definition linear_reward (w : K -> R) y : R := \sum_k w k * feature k y.

(** Theorem 21. For rewards linear in their weights, the reward of the averaged weights is the
    average of the members' rewards, for any law over the members: weight averaging and the
    mean ensemble are one. *)
Theorem weight_average_is_mean_ensemble (members : law R M) (w : M -> K -> R) y :
  linear_reward (fun k => mean members (fun m => w m k)) y
    = mean members (fun m => linear_reward (w m) y).
Proof.
rewrite /linear_reward /mean; under eq_bigr do rewrite mulr_suml.
rewrite exchange_big /=; apply: eq_bigr => m _; rewrite mulr_sumr.
by apply: eq_bigr => k _; rewrite mulrA.
Qed.

End WeightAveraging.

(** The control of theorem 21: of rewards that are a product of two weights, as two layers are,
    the average of (1, 0) and (0, 1) earns 1/4 where the mean ensemble earns 0. *)
Example weight_average_two_layers (R : realFieldType) : let members := coin (half01 R) in
  let w (m : bool) : R * R := (m%:R, (~~ m)%:R) in
  mean members (fun m => (w m).1) * mean members (fun m => (w m).2) = 1 / 4 /\
  mean members (fun m => (w m).1 * (w m).2) = 0.
Proof.
by split; rewrite !mean_coin /=; [field | ring].
Qed.

Section Pessimism.
Variables (R : realFieldType) (T : finType).
Implicit Types (p pi rival : law R T) (proxy gold bonus : T -> R).

(** Theorem 38. Let the proxy be within [bonus] of the gold reward at every string. The policy
    that maximises the proxy less the bonus, among any set of policies, falls short of any rival
    in the set by at most twice the mean of the bonus under the *rival*: what it costs depends
    on how well the rival's strings are known, and not on its own. *)
Theorem pessimism (policies : law R T -> Prop) proxy gold bonus pi rival :
  (forall y, `|proxy y - gold y| <= bonus y) -> policies rival ->
  (forall p, policies p ->
    mean p (fun y => proxy y - bonus y) <= mean pi (fun y => proxy y - bonus y)) ->
  mean rival gold - mean pi gold <= 2 * mean rival bonus.
Proof.
move=> close inside best; rewrite ler_subl_addl.
apply: le_trans (_ : mean rival (fun y => (proxy y - bonus y) + 2 * bonus y) <= _).
  apply: ler_mean => y; rewrite (_ : _ + _ = proxy y + bonus y); last by ring.
  by rewrite -ler_subl_addr; have := close y; rewrite ler_distl => /andP[].
rewrite meanD meanZ ler_add2r; apply: le_trans (best _ inside) _.
by apply: ler_mean => y; rewrite ler_subl_addr; have := close y; rewrite ler_distl => /andP[].
Qed.

(** The control of theorem 38: without the bonus, the regret also grows with the bonus under the
    policy itself, which may seek the strings that are known worst. *)
Theorem optimism_of_the_proxy (policies : law R T -> Prop) proxy gold bonus pi rival :
  (forall y, `|proxy y - gold y| <= bonus y) -> policies rival ->
  (forall p, policies p -> mean p proxy <= mean pi proxy) ->
  mean rival gold - mean pi gold <= mean rival bonus + mean pi bonus.
Proof.
move=> close inside best.
have up : mean rival gold <= mean rival proxy + mean rival bonus.
  rewrite -meanD; apply: ler_mean => y; rewrite -ler_subl_addr.
  by have := close y; rewrite ler_distl => /andP[].
have low : mean pi proxy <= mean pi gold + mean pi bonus.
  by rewrite -meanD; apply: ler_mean => y; have := close y; rewrite ler_distl => /andP[].
rewrite ler_subl_addr -addrA [_ + mean pi gold]addrC addrC; apply: le_trans up _.
by rewrite ler_add2r (le_trans (best _ inside)).
Qed.

(** The law that always says [y]. *)
Lemma always_ge0 (y x : T) : 0 <= (x == y)%:R :> R.
Proof. exact: ler0n. Qed.

Lemma always_sum1 (y : T) : \sum_x (x == y)%:R = 1 :> R.
Proof. by rewrite (bigD1 y) //= eqxx big1 ?addr0 // => x /negbTE ->. Qed.

Definition always y : law R T := Law (always_ge0 y) (always_sum1 y).

Lemma mean_always y f : mean (always y) f = f y.
Proof.
rewrite /mean (bigD1 y) //= eqxx mul1r big1 ?addr0 // => x /negbTE ->; exact: mul0r.
Qed.

(** An instance with any proxy and gold, and all laws as policies: the bonus is the error itself,
    and always saying the string with the best lower bound is the pessimist's policy. *)
Example pessimism_instance (y0 : T) proxy gold : let bonus y := `|proxy y - gold y| in
  (forall y, `|proxy y - gold y| <= bonus y) /\
  exists pi, forall p, True ->
    mean p (fun y => proxy y - bonus y) <= mean pi (fun y => proxy y - bonus y).
Proof.
split=> //=; pose low y := proxy y - `|proxy y - gold y|.
exists (always [arg max_(y > y0) low y]%O); case: arg_maxP => // x _ best p _.
by rewrite mean_always -[leRHS](mean_const p); apply: ler_mean => z; apply: best.
Qed.

End Pessimism.

Section Merging.
Variables (R : realType) (T U : finType).
Implicit Types (p q : law R T) (f : T -> U) (r : U -> R).

(** The log-sum inequality: merging the terms of a divergence cannot raise it. *)
Lemma log_sum p q (A : pred T) : supported p q ->
  (\sum_(x | A x) p x) * ln ((\sum_(x | A x) p x) / \sum_(x | A x) q x)
    <= \sum_(x | A x) p x * ln (p x / q x).
Proof.
move=> pq; set P := \sum_(x | A x) p x; set Q := \sum_(x | A x) q x.
have P0 : 0 <= P by apply: sumr_ge0 => x _; apply: mass_ge0.
have Q0 : 0 <= Q by apply: sumr_ge0 => x _; apply: mass_ge0.
have [Pz|Pn] := eqVneq P 0.
  rewrite Pz mul0r big1 // => x Ax; rewrite (_ : p x = 0) ?mul0r //.
  move: Pz => /eqP; rewrite psumr_eq0 => [/allP e|y _]; last exact: mass_ge0.
  by apply/eqP/(implyP (e x (mem_index_enum _))).
have {P0}P0 : 0 < P by rewrite lt_def Pn.
have {Q0}Q0 : 0 < Q.
  rewrite lt_def Q0 andbT; apply: contra Pn.
  rewrite psumr_eq0 => [/allP e|y _]; last exact: mass_ge0.
  apply/eqP/big1 => x Ax; apply: pq; apply/eqP.
  exact: (implyP (e x (mem_index_enum _))).
have -> : P * ln (P / Q) = \sum_(x | A x) (p x * ln (P / Q) + p x - q x * (P / Q)).
  rewrite sumrB big_split /= -!mulr_suml -/P -/Q [Q * _]mulrC divfK ?gt_eqF //.
  by rewrite addrK.
apply: ler_sum => x Ax; have [px0|px] := eqVneq (p x) 0.
  by rewrite px0 !mul0r !add0r oppr_le0 mulr_ge0 ?mass_ge0 // divr_ge0 // ltW.
have {px}p0 : 0 < p x by rewrite lt_def px mass_ge0.
have q0 := supported_gt0 pq p0; have c0 : 0 < P / Q by rewrite divr_gt0.
have qc0 := mulr_gt0 q0 c0.
have zero : q x * (P / Q) = 0 -> p x = 0 by move=> e; move: qc0; rewrite e ltxx.
have := kl_term_ge (ltW p0) (ltW qc0) zero.
have -> : ln (p x / (q x * (P / Q))) = ln (p x / q x) - ln (P / Q).
  by rewrite -ln_div ?posrE ?divr_gt0 // invfM mulrA.
by rewrite mulrBr ler_subr_addl addrA.
Qed.

(** Theorem 26, data processing. Looking at strings only through [f] cannot raise the divergence
    of the policy from its reference. *)
Theorem data_processing p q f : supported p q -> kl (image p f) (image q f) <= kl p q.
Proof.
move=> pq; rewrite /kl [leRHS](partition_big f predT) //=.
by apply: ler_sum => u _; apply: log_sum.
Qed.

Lemma partition_image q f r : partition (image q f) r = partition q (fun y => r (f y)).
Proof. by rewrite -[LHS]/(mean (image q f) (fun u => expR (r u))) mean_image. Qed.

(** Theorem 26, the merged tilt. A tilt by a reward of [f y], seen through [f], is the tilt by
    that reward of the reference seen through [f]. *)
Theorem image_tilt q f r : image (tilt q (fun y => r (f y))) f =1 tilt (image q f) r.
Proof.
move=> u /=; rewrite partition_image -mulr_suml; congr (_ / _); rewrite mulr_suml.
by apply: eq_bigr => x /eqP ->.
Qed.

(** Theorem 26, merging. If the proxy depends on strings through [f] alone, strings with the same
    [f] may be merged: the tilt by the proxy has the same divergence from its reference ... *)
Theorem merging_keeps_kl ref f (proxy : U -> R) :
  kl (tilt ref (fun y => proxy (f y))) ref = kl (tilt (image ref f) proxy) (image ref f).
Proof.
have self (V : finType) (q : law R V) g :
    kl (tilt q g) q = mean (tilt q g) g - ln (partition q g).
  have := kl_tilt g (@tilt_supported _ _ q g).
  rewrite (kl_eq0 (fun _ => id)).2 // => /eqP; rewrite eq_sym -subr_eq0 => /eqP e.
  by apply/eqP; rewrite -subr_eq0 -[X in _ == X]e; apply/eqP; ring.
rewrite !self partition_image; congr (_ - _).
by rewrite -(mean_image _ f proxy); apply: eq_bigr => u _; rewrite image_tilt.
Qed.

(** Theorem 26, the gold reward. ... and the same mean of every other reward that depends on
    strings through [f] alone. With f y = (proxy y, gold y), a Goodhart curve of a set of strings
    is that of its pairs of rewards. *)
Theorem merging_keeps_mean ref f (proxy gold : U -> R) :
  mean (tilt ref (fun y => proxy (f y))) (fun y => gold (f y))
    = mean (tilt (image ref f) proxy) gold.
Proof.
by rewrite -(mean_image _ f gold); apply: eq_bigr => u _; rewrite image_tilt.
Qed.

End Merging.

(** An instance: the policy that always says one of two equally likely strings has a divergence
    from its reference, and none once the two strings are merged. *)
Example merging_instance (R : realType) :
  let p := always R true in let q := coin (half01 R) in
  [/\ supported p q, 0 < kl p q & kl (image p (fun=> tt)) (image q (fun=> tt)) = 0].
Proof.
have q0 b : coin (half01 R) b != 0.
  rewrite gt_eqF //; case: b => /=; first by rewrite divr_gt0 ?ltr01 ?ltr0n.
  by rewrite subr_gt0 ltr_pdivr_mulr ?ltr0n // mul1r ltr1n.
have pq : supported (always R true) (coin (half01 R)) by move=> b /eqP; rewrite (negbTE (q0 b)).
have one (l : law R unit_finType) : l tt = 1.
  by rewrite -(mass_sum1 l) (bigD1 tt) //= big1 ?addr0 // => -[].
split=> //; first last.
  by apply/(kl_eq0 (@supported_image _ _ _ _ _ (fun=> tt) pq)) => -[]; rewrite !one.
rewrite lt_def kl_ge0 // andbT; apply/eqP => /(kl_eq0 pq)/(_ false) /= e.
by have := q0 false; rewrite /= -e eqxx.
Qed.

Section Catastrophe.
Variables (R : realType) (s : R) (s01 : 0 < s < 1).

Let s0 : 0 < s. Proof. by case/andP: s01. Qed.
Let s1 : s < 1. Proof. by case/andP: s01. Qed.
Let s0' : 0 <= s. Proof. exact: ltW. Qed.
Let s1' : s <= 1. Proof. exact: ltW. Qed.
Let u0 : 0 <= 1 - s. Proof. by rewrite subr_ge0. Qed.
Let r0 : 0 < s ^+ 4. Proof. by rewrite exprn_gt0. Qed.
Let r1 : s ^+ 4 < 1. Proof. by rewrite exprn_ilt1. Qed.

Lemma rare01 : 0 <= s ^+ 4 <= 1.
Proof. by rewrite !ltW. Qed.

Lemma moved01 : 0 <= s + (1 - s) * s ^+ 4 <= 1.
Proof.
rewrite addr_ge0 ?mulr_ge0 ?(ltW r0) //= -ler_subr_addl.
by rewrite ler_pimulr // ltW.
Qed.

(** A reference that says a rare string, [true], with the small chance s^4 ... *)
Definition heavy_ref : law R bool_finType := coin rare01.

(** ... a proxy that pays it s^(-2), the inverse root of its chance, and nothing else ... *)
Definition heavy_proxy (rare : bool) : R := if rare then s ^- 2 else 0.

(** ... and a policy that says it with the small chance s, and else does as the reference. *)
Definition heavy_policy : law R bool_finType := coin moved01.

Lemma heavy_supported : supported heavy_policy heavy_ref.
Proof.
move=> [] /=; first by move/eqP; rewrite expf_eq0 (gt_eqF s0).
by move/eqP; rewrite subr_eq0 gt_eqF.
Qed.

(** Theorem 37, the proxy's scale. Its mean square under the reference is 1. *)
Theorem heavy_proxy_square : mean heavy_ref (fun y => heavy_proxy y ^+ 2) = 1.
Proof. by rewrite mean_coin /=; field; rewrite gt_eqF. Qed.

(** Theorem 37, the gain. The policy gains (1 - s^4) / s of proxy. *)
Theorem heavy_gain : mean heavy_policy heavy_proxy - mean heavy_ref heavy_proxy = (1 - s ^+ 4) / s.
Proof. by rewrite !mean_coin /=; field; rewrite gt_eqF. Qed.

(** Theorem 37, the gold reward. Whatever it is, if within -1 and 1, it moves by at most 2 s. *)
Theorem heavy_gold gold : (forall y, `|gold y| <= 1) ->
  `|mean heavy_policy gold - mean heavy_ref gold| <= 2 * s.
Proof.
move=> g1; rewrite !mean_coin /=.
have -> : (s + (1 - s) * s ^+ 4) * gold true + (1 - (s + (1 - s) * s ^+ 4)) * gold false -
  (s ^+ 4 * gold true + (1 - s ^+ 4) * gold false)
  = s * ((1 - s ^+ 4) * (gold true - gold false)) by ring.
rewrite normrM gtr0_norm // mulrC ler_pmul2r // normrM.
apply: le_trans (_ : 1 * (1 + 1) <= _); last by rewrite mul1r.
apply: ler_pmul => //; first by rewrite ger0_norm ?subr_ge0 ?(ltW r1) // ler_subl_addr ler_addl ltW.
by apply: le_trans (ler_norm_sub _ _) _; apply: ler_add.
Qed.

(** Theorem 37, the divergence. It is at most 8 s ln(1/s). *)
Theorem heavy_kl : kl heavy_policy heavy_ref <= 8 * s * - ln s.
Proof.
have l0 : 0 <= - ln s by rewrite oppr_ge0 -ln1 ler_ln ?posrE ?ltr01.
case/andP: moved01 => m0 m1.
rewrite /kl big_bool /= -[leRHS]addr0; apply: ler_add; last first.
  have -> : 1 - (s + (1 - s) * s ^+ 4) = (1 - s) * (1 - s ^+ 4) by ring.
  rewrite mulfK ?gt_eqF ?subr_gt0 //; apply: mulr_ge0_le0.
    by rewrite mulr_ge0 // subr_ge0 ltW.
  by rewrite -ln1 ler_ln ?posrE ?subr_gt0 ?ltr01 // ler_subl_addr ler_addl.
have mp : 0 < s + (1 - s) * s ^+ 4.
  by rewrite ltr_paddr // mulr_ge0 // ltW.
apply: le_trans (_ : (s + (1 - s) * s ^+ 4) * (4 * - ln s) <= _).
  rewrite ler_wpmul2l //; have -> : 4 * - ln s = ln (s ^- 4).
    by rewrite lnV ?posrE // lnX // mulrN mulr_natl.
  by rewrite ler_ln ?posrE ?divr_gt0 ?invr_gt0 // ler_pimull // invr_ge0 ltW.
have -> : 8 * s * - ln s = (2 * s) * (4 * - ln s) by ring.
rewrite ler_wpmul2r ?mulr_ge0 ?ler0n // (_ : 2 * s = s + s) ?ler_add2l; last by ring.
apply: le_trans (_ : 1 * s ^+ 4 <= _).
  by rewrite ler_wpmul2r ?(ltW r0) // ler_subl_addr ler_addl.
by rewrite mul1r exprS ler_pimulr // exprn_ile1.
Qed.

End Catastrophe.

(** Theorem 37. Catastrophic Goodhart: for every gain M and every delta > 0 there are a reference,
    a proxy with mean square 1 under it and a policy with a divergence of at most delta from it
    that gains more than M of proxy, while no gold reward within -1 and 1 moves by more than
    delta. A small KL divergence does not bound what is gained of a heavy-tailed error. *)
Theorem catastrophic_goodhart (R : realType) (M delta : R) : 0 < delta ->
  exists (ref pi : law R bool_finType) (proxy : bool -> R),
  [/\ supported pi ref, mean ref (fun y => proxy y ^+ 2) = 1, kl pi ref <= delta,
      M <= mean pi proxy - mean ref proxy &
      forall gold, (forall y, `|gold y| <= 1) -> `|mean pi gold - mean ref gold| <= delta].
Proof.
move=> d0; pose k := `|M| + 2 + 16 / delta.
have d16 : 0 < 16 / delta by rewrite divr_gt0 ?ltr0n.
have k2 : 2 <= k by rewrite /k addrAC ler_addr addr_ge0 // ltW.
have k0 : 0 < k by rewrite (lt_le_trans _ k2) ?ltr0n.
have k1 : 1 < k by rewrite (lt_le_trans _ k2) ?ltr1n.
pose s := k ^- 2.
have s01 : 0 < s < 1 by rewrite invr_gt0 exprn_gt0 //= invf_lt1 ?exprn_gt0 // exprn_egt1.
have sk : s <= k^-1.
  by rewrite lef_pinv ?posrE ?exprn_gt0 // expr2 ler_pmulr // ltW.
have kd : 16 * k^-1 <= delta.
  rewrite ler_pdivr_mulr // mulrC -ler_pdivr_mulr //.
  by rewrite /k ler_addr addr_ge0 ?normr_ge0 ?ler0n.
exists (heavy_ref s01), (heavy_policy s01), (heavy_proxy s); split.
- exact: heavy_supported.
- exact: heavy_proxy_square.
- apply: le_trans (heavy_kl s01) _; apply: le_trans kd.
  have -> : - ln s = 2 * ln k by rewrite lnV ?posrE ?exprn_gt0 // lnX // opprK mulr_natl.
  have -> : 8 * s * (2 * ln k) = 16 * (s * ln k) by ring.
  rewrite ler_pmul2l ?ltr0n //; apply: le_trans (_ : s * k <= _).
    rewrite ler_pmul2l; last by case/andP: s01.
    by apply: le_trans (ln_leB1 k0) _; rewrite ler_subl_addr ler_addl ler01.
  by rewrite /s expr2 invfM mulfVK // gt_eqF.
- rewrite heavy_gain; apply: le_trans (_ : k - 1 <= _).
    apply: le_trans (ler_norm M) _; rewrite /k (_ : _ - 1 = `|M| + (1 + 16 / delta)); last by ring.
    by rewrite ler_addl addr_ge0 ?ler01 // ltW.
  case/andP: s01 => s0 /ltW s1; rewrite ler_pdivl_mulr // mulrBl mul1r ler_sub //.
    by rewrite /s expr2 invfM mulVKf ?gt_eqF // invf_le1 // ltW.
  by rewrite exprS ler_pimulr ?exprn_ile1 ?(ltW s0).
move=> gold g1; apply: le_trans (heavy_gold s01 g1) _; apply: le_trans kd.
by apply: ler_pmul; rewrite ?ler0n ?ler_nat //; case/andP: s01 => /ltW.
Qed.
