(** Preferences: Bradley-Terry for pairs, Plackett-Luce for rankings, and when rewards can be
    fitted to comparisons.

    Theorems 22, 23 and 40. A worth is exp of a reward: any positive number. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From mathcomp Require Import boolp classical_sets reals topology normedtype sequences derive exp.
From BanditRlhf Require Import Bandit Divergence.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Rankings.
Variables (R : realFieldType) (T : eqType) (worth : T -> R).
Hypothesis worth_gt0 : forall x, 0 < worth x.
Implicit Types (x a b : T) (s t items : seq T).

(** The worth of a set of items, given as a list. *)
Definition total items : R := \sum_(x <- items) worth x.

(** The chance that [x] is chosen from [items]: its share of their worth. *)
Definition choice items x : R := worth x / total items.

(** Bradley-Terry: the chance that [a] is preferred to [b]. *)
Definition bradley_terry a b : R := worth a / (worth a + worth b).

(** Plackett-Luce: the chance of a ranking, best first. The first is chosen from all, the next
    from the rest, and so on. *)
Fixpoint plackett_luce s : R := if s is x :: t then choice s x * plackett_luce t else 1.

Lemma total_ge0 s : 0 <= total s.
Proof. by apply: sumr_ge0 => x _; apply: ltW. Qed.

Lemma total_cons_neq0 x s : total (x :: s) != 0.
Proof. by rewrite gt_eqF // /total big_cons ltr_paddr // total_ge0. Qed.

Lemma perm_total s t : perm_eq s t -> total s = total t.
Proof. by move=> st; apply: perm_big. Qed.

(** Theorem 22, independence of irrelevant alternatives. How much more often one item is chosen
    than another does not depend on what else there is to choose from. *)
Theorem irrelevant_alternatives items others a b : a \in items -> a \in others ->
  choice items a / choice items b = choice others a / choice others b.
Proof.
suff ratio s : a \in s -> choice s a / choice s b = worth a / worth b by move=> /ratio-> /ratio->.
case: s => // x s _; rewrite /choice; field.
by rewrite total_cons_neq0 (gt_eqF (worth_gt0 b)).
Qed.

(** A sum over the rankings of some items is a sum over the first and over the rankings of the
    others. *)
Lemma sum_rankings items (F : seq T -> R) : uniq items -> (0 < size items)%N ->
  \sum_(s <- permutations items) F s
    = \sum_(x <- items) \sum_(s <- permutations (rem x items)) F (x :: s).
Proof.
move=> u n0; rewrite (perm_big _ (permutationsE n0)) /= big_allpairs_dep undup_id //.
Qed.

(** Theorem 22, marginals. Rankings of all items, seen through some of them, are Plackett-Luce
    rankings of those: the chances of all rankings in which the items of [part] come in the order
    [u] add up to the chance of [u] alone. *)
Theorem plackett_luce_marginal items (part : pred T) u : uniq items ->
  perm_eq u [seq x <- items | part x] ->
  \sum_(s <- permutations items | [seq x <- s | part x] == u) plackett_luce s
    = plackett_luce u.
Proof.
move: {2}(size items) (leqnn (size items)) => n.
elim: n items u => [|n IH] items u.
  rewrite leqn0 => /nilP -> _ /perm_nilP ->.
  by rewrite (_ : permutations [::] = [:: [::]]) // big_cons big_nil /= addr0.
move=> sn un pu; have [/eqP/nilP e|n0] := posnP (size items).
  move: pu; rewrite e => /perm_nilP ->.
  by rewrite (_ : permutations [::] = [:: [::]]) // big_cons big_nil /= addr0.
have Wn : total items != 0 by case: (items) n0 => // y s _; apply: total_cons_neq0.
rewrite big_mkcond sum_rankings //= {n0}.
pose rest x := if part x then if u is y :: v then if x == y then plackett_luce v else 0 else 0
  else plackett_luce u.
have first x : x \in items -> \sum_(s <- permutations (rem x items))
    (if (if part x then x :: [seq y <- s | part y] else [seq y <- s | part y]) == u
     then choice (x :: s) x * plackett_luce s else 0) = choice items x * rest x.
  move=> xi; have sz : (size (rem x items) <= n)%N.
    by rewrite -ltnS -[X in (X <= _)%N]/(size (x :: rem x items)) -(perm_size (perm_to_rem xi)).
  have ur := rem_uniq x un.
  have -> : \sum_(s <- permutations (rem x items))
    (if (if part x then x :: [seq y <- s | part y] else [seq y <- s | part y]) == u
     then choice (x :: s) x * plackett_luce s else 0)
    = choice items x * \sum_(s <- permutations (rem x items))
    (if (if part x then x :: [seq y <- s | part y] else [seq y <- s | part y]) == u
     then plackett_luce s else 0).
    rewrite mulr_sumr !big_seq; apply: eq_bigr => s; rewrite mem_permutations => ps.
    case: ifP => _; last by rewrite mulr0.
    rewrite /choice (@perm_total _ items) // perm_sym (perm_trans (perm_to_rem xi)) //.
    by rewrite perm_cons perm_sym.
  congr (_ * _); rewrite /rest -big_mkcond /= {rest}; case: ifP => px; last first.
    apply: IH => //; rewrite (_ : [seq y <- rem x items | part y] = [seq y <- items | part y]) //.
    rewrite rem_filter // -filter_predI; apply: eq_filter => y /=.
    by case: eqP => [->|]; rewrite ?px ?andbT.
  have pr : [seq y <- items | part y] =i x :: [seq y <- rem x items | part y].
    move=> y; rewrite mem_filter inE mem_filter mem_rem_uniq // !inE.
    by case: eqP => [->|]; rewrite ?px ?xi ?andbT.
  case: u pu => [|y v] pu.
    have := perm_mem pu x; rewrite pr inE eqxx; by [].
  case: eqP => [exy|/eqP exy]; last first.
    by rewrite big_pred0 // => s; rewrite eqseq_cons (negbTE exy).
  rewrite -(IH (rem x items) v) //.
    by apply: eq_bigl => s; rewrite eqseq_cons exy eqxx.
  rewrite -(perm_cons x) {1}exy; apply: perm_trans pu _.
  apply: uniq_perm; rewrite ?filter_uniq //= ?filter_uniq ?andbT //.
  by rewrite mem_filter mem_rem_uniq // !inE eqxx andbF.
rewrite big_seq; under eq_bigr => x xi do rewrite first //.
rewrite -big_seq {first IH}.
have share : \sum_(x <- items | part x) choice items x * rest x
    = \sum_(x <- items | part x) choice items x * plackett_luce u.
  rewrite -mulr_suml; have -> : \sum_(x <- items | part x) choice items x = total u / total items.
    by rewrite -mulr_suml -big_filter (perm_total pu).
  rewrite /rest {rest}; case: u pu => [|y v] pu /=.
    rewrite /total big_nil mul0r mul0r big_seq_cond big1 // => x /andP[xi px].
    have := perm_mem pu x; rewrite mem_filter px xi; by [].
  have yi : y \in items /\ part y.
    have := perm_mem pu y; rewrite mem_filter inE eqxx /= => /esym/andP[-> ->]; by [].
  have [yin yp] := yi; rewrite big_mkcond (bigD1_seq y) //= yp eqxx big1 ?addr0 => [|x /negbTE ->].
    rewrite /choice; field.
    by rewrite Wn total_cons_neq0.
  by case: (part x); rewrite ?mulr0.
have -> : \sum_(x <- items) choice items x * rest x
    = \sum_(x <- items) choice items x * plackett_luce u.
  rewrite (bigID part) /= share [RHS](bigID part) /=; congr (_ + _).
  by apply: eq_bigr => x /negbTE px; rewrite /rest px.
by rewrite -mulr_suml /choice -mulr_suml divff // mul1r.
Qed.

(** Theorem 22, rankings exhaust the outcomes. Their chances add up to one. *)
Theorem plackett_luce_sum1 items : uniq items ->
  \sum_(s <- permutations items) plackett_luce s = 1.
Proof.
move=> un; have e : perm_eq [::] [seq x <- items | pred0 x] by rewrite filter_pred0.
rewrite -[RHS]/(plackett_luce [::]) -(plackett_luce_marginal un e).
by apply: eq_bigl => s; rewrite filter_pred0 eqxx.
Qed.

(** Theorem 22, pairs. Under Plackett-Luce rankings of any items, [a] comes before [b] with the
    chance that Bradley and Terry give it. *)
Theorem plackett_luce_pair items a b : uniq items -> a \in items -> b \in items -> a != b ->
  \sum_(s <- permutations items | [seq x <- s | (x == a) || (x == b)] == [:: a; b])
    plackett_luce s = bradley_terry a b.
Proof.
move=> un ai bi ab; rewrite plackett_luce_marginal //.
  rewrite /= /choice /total !big_cons !big_nil !addr0 divff ?mulr1 //.
  by rewrite gt_eqF.
apply: uniq_perm; rewrite ?filter_uniq //= ?inE ?ab // => x; rewrite mem_filter !inE.
by case: eqP => [->|_] /=; [rewrite ai | case: eqP => [->|//]; rewrite bi].
Qed.

(** Theorem 22, cycles. Around three items the preferences one way and the other way multiply to
    the same: log odds add. *)
Theorem bradley_terry_cycle a b c :
  bradley_terry a b * bradley_terry b c * bradley_terry c a
    = bradley_terry b a * bradley_terry c b * bradley_terry a c.
Proof.
rewrite /bradley_terry; field.
by rewrite !gt_eqF ?addr_gt0.
Qed.

End Rankings.

(** Theorem 23: how tuning amplifies preferences. *)
Section Amplification.
Variables (R : realType) (T : finType) (ref : law R T) (reward : T -> R) (beta : R).
Hypothesis beta_gt0 : 0 < beta.

(** The chance that [a] is preferred to [b], by Bradley and Terry, where worths are exp rewards. *)
Definition preference a b : R := bradley_terry (fun y => expR (reward y)) a b.

(** The policy tuned by reward at strength [beta]: the Gibbs law. *)
Definition tuned : law R T := tilt ref (fun y => reward y / beta).

(** The odds of a preference. *)
Lemma preference_odds a b : preference a b / (1 - preference a b) = expR (reward a - reward b).
Proof.
have ea := expR_gt0 (reward a); have eb := expR_gt0 (reward b).
rewrite expRD expRN /preference /bradley_terry; field.
by rewrite !gt_eqF ?addr_gt0 //= addrAC subrr add0r.
Qed.

(** Theorem 23, preference amplification. The tuned policy's odds of one string against another,
    relative to the reference's, are the odds of the preference to the power 1 / beta. *)
Theorem preference_amplification a b : 0 < ref a -> 0 < ref b ->
  (tuned a / tuned b) / (ref a / ref b) = (preference a b / (1 - preference a b)) `^ (beta^-1).
Proof.
move=> ra rb; rewrite preference_odds /exp_fun expK.
have [E [E0 lhs rhs]] : exists E : T -> R, [/\ forall y, 0 < E y,
    forall y, tuned y = ref y * E y / partition ref (fun y => reward y / beta) &
    expR (beta^-1 * (reward a - reward b)) = E a / E b].
  exists (fun y => expR (reward y / beta)); split=> // [y|]; first exact: expR_gt0.
  by rewrite mulrBr expRD expRN ![beta^-1 * _]mulrC.
have := partition_gt0 ref (fun y => reward y / beta); rewrite !lhs rhs.
move: (partition _ _) => Z Z0; field.
by rewrite !gt_eqF.
Qed.

(** Theorem 23, minorities fade. Below beta = 1 a majority's odds are more than kept. *)
Theorem majority_amplified a b : 0 < ref a -> 0 < ref b -> beta < 1 -> reward b < reward a ->
  preference a b / (1 - preference a b) < (tuned a / tuned b) / (ref a / ref b).
Proof.
move=> ra rb b1 ab; rewrite preference_amplification // preference_odds /exp_fun expK ltr_expR.
by rewrite ltr_pmull ?subr_gt0 // invf_gt1.
Qed.

End Amplification.

Section Existence.
Variables (R : realType) (T : finType) (wins : T -> T -> R).
Hypothesis wins_ge0 : forall i j, 0 <= wins i j.
Implicit Types (r : T -> R) (i j : T).

(** The log-likelihood of rewards under Bradley and Terry, where [wins i j] counts how often [i]
    was preferred to [j]: the sum of wins_ij ln sigmoid(r_i - r_j). *)
Definition log_likelihood r : R :=
  \sum_i \sum_j wins i j * - ln (1 + expR (r j - r i)).

(** [i] beat [j] at least once: an arrow of the win graph. *)
Definition beat i j : bool := 0 < wins i j.

Lemma softplus_gt0 (x : R) : 0 < ln (1 + expR x).
Proof. by rewrite ln_gt0 // ltr_addl expR_gt0. Qed.

Lemma softplus_ge (x : R) : x <= ln (1 + expR x).
Proof.
rewrite -{1}[x]expK ler_ln ?posrE ?expR_gt0 ?ler_addr ?ler01 //.
by rewrite addr_gt0 ?ltr01 ?expR_gt0.
Qed.

Lemma softplus_lt (x y : R) : x < y -> ln (1 + expR x) < ln (1 + expR y).
Proof. by move=> xy; rewrite ltr_ln ?posrE ?addr_gt0 ?ltr01 ?expR_gt0 // ltr_add2l ltr_expR. Qed.

(** Theorem 40, no finite maximum. If the items of [top] never lost to the rest and beat one of
    it, then raising all their rewards by the same amount, from wherever they are, makes the
    comparisons strictly likelier: rewards run off to infinity. *)
Theorem undefeated_runs_off (top : pred T) r (t : R) : 0 < t ->
  (forall i j, ~~ top i -> top j -> wins i j = 0) ->
  (exists i j, [/\ top i, ~~ top j & beat i j]) ->
  log_likelihood r < log_likelihood (fun i => r i + (if top i then t else 0)).
Proof.
move=> t0 never [i0 [j0 [ti tj b]]]; rewrite -subr_gt0 /log_likelihood -sumrB.
have term i j : 0 <= wins i j * - ln (1 + expR (r j + (if top j then t else 0)
    - (r i + (if top i then t else 0)))) - wins i j * - ln (1 + expR (r j - r i)).
  rewrite -mulrBr opprK addrC; case: (boolP (top i)) => ti'; case: (boolP (top j)) => tj'.
  - by rewrite (_ : r j + t - (r i + t) = r j - r i) ?subrr ?mulr0 //; ring.
  - rewrite mulr_ge0 // subr_ge0 ltW // softplus_lt // addr0 opprD addrA ltr_subl_addr ltr_addl //.
  - by rewrite never // mul0r.
  - by rewrite !addr0 subrr mulr0.
rewrite (bigD1 i0) //= ltr_paddr //; last first.
  rewrite -sumrB (bigD1 j0) //= ltr_paddr //; first by apply: sumr_ge0.
  rewrite -mulrBr opprK addrC ti (negbTE tj) mulr_gt0 // subr_gt0 softplus_lt //.
  by rewrite addr0 opprD addrA ltr_subl_addr ltr_addl.
by apply: sumr_ge0 => i _; rewrite -sumrB; apply: sumr_ge0.
Qed.

(** Rewards [r] are a finite maximum. *)
Definition maximum r : Prop := forall r', log_likelihood r' <= log_likelihood r.

(** Theorem 40, necessity. Where rewards with the greatest likelihood exist, whoever lost to some
    item beat it in turn, at least through others. *)
Theorem maximum_needs_cycles r : maximum r -> forall i j, beat i j -> connect beat j i.
Proof.
move=> best i j bij; apply/negPn/negP => ji.
pose top := [pred k | ~~ connect beat j k].
have := undefeated_runs_off (top := top) r ltr01; rewrite ltNge best /= => absurd.
suff : false by []; apply: absurd.
  move=> k l /=; rewrite negbK => jk jl; apply/eqP; rewrite eq_le wins_ge0 andbT leNgt.
  by apply: contra jl => kl; apply: connect_trans jk (connect1 _).
by exists i, j; rewrite /= ji connect0.
Qed.

End Existence.

(** Instances that satisfy the hypotheses above. *)
Example rankings_instance (R : realFieldType) : let worth (_ : nat) : R := 1 in
  (forall x, 0 < worth x) /\ uniq [:: 0; 1; 2]%N.
Proof. by split=> // x; apply: ltr01. Qed.

(** Of two items [true] won the only comparison: it is undefeated, and no rewards are best. *)
Example undefeated_instance (R : realType) :
  let wins (i j : bool) : R := if i && ~~ j then 1 else 0 in
  [/\ forall i j, 0 <= wins i j, forall i j : bool, ~~ i -> j -> wins i j = 0,
      exists i j : bool, [/\ i, ~~ j & beat wins i j] & forall r, ~ maximum wins r].
Proof.
have wins_ge0 (i j : bool) : 0 <= (if i && ~~ j then 1 else 0) :> R by case: ifP; rewrite ?ler01.
split=> // [[] []//||r best]; first by exists true, false; rewrite /beat ltr01.
have b : beat (fun i j : bool => if i && ~~ j then 1 else 0 : R) true false by rewrite /beat ltr01.
have := maximum_needs_cycles wins_ge0 best b.
by case/connectP => -[|[] p] //=; rewrite /beat /= ltxx.
Qed.
