(** The token MDP of a language: its states are the prefixes, its actions the tokens, and a token
    leads from a prefix to the prefix that it prolongs. Theorems 5 and 7.

    After a stopping token nothing more is written or paid; when no step is left the string is cut.
    A string's reward, known to the bandit, is paid with the string's last token; or each token is
    paid as it comes. There is no discount. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From BanditRlhf Require Import Bandit Language Prefix Mdp.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section TokenMdp.
Variables (R : realFieldType) (A : finType) (stops : pred A).
Local Notation string := (string stops).
Local Notation strings := (strings stops).
Local Notation expectation := (expectation stops).
Implicit Types (s t y : seq A) (a : A) (r : seq A -> A -> R) (Rw : seq A -> R).

(** The MDP that pays r(s, a) for token [a] after prefix [s], until a token stops it. *)
Definition token_mdp r : mdp R (seq A) A [finType of unit] :=
  Mdp (fun _ _ => sure R tt)
      (fun s a _ => if has stops s then s else rcons s a)
      (fun s a _ => if has stops s then 0 else r s a)
      1.

(** A reward of whole strings, paid with the last token: the one that stops, or the [n]-th. *)
Definition paid_last (n : nat) Rw s a : R :=
  if stops a || ((size s).+1 == n) then Rw (rcons s a) else 0.

(** What a policy of the MDP, which may know how many steps are left, writes after [s]. *)
Definition writes (pi : plan R (seq A) A) n s : policy R A :=
  fun t => pi (n - (size t).+1)%N (s ++ t).

Lemma backup_token r v s a : ~~ has stops s ->
  backup (token_mdp r) v s a = r s a + v (rcons s a).
Proof. by move=> /negbTE sn; rewrite /backup mean_sure /= sn mul1r. Qed.

Lemma value_stopped r pi n s : has stops s -> value (token_mdp r) pi n s = 0.
Proof.
move=> ss; elim: n => // n ih; rewrite valueS -[RHS](mean_const (pi n s)).
by apply: eq_mean => a; rewrite /backup mean_sure /= ss ih mulr0 addr0.
Qed.

(** From any prefix on, the value of a policy of the token MDP is the mean, over the strings that
    it goes on to write, of the sum of the tokens' rewards. *)
Lemma token_value_after r pi n s : ~~ has stops s -> value (token_mdp r) pi n s =
  expectation (writes pi n s) n (along (fun t => r (s ++ t))).
Proof.
elim: n s => [|n ih] s sn; first by rewrite expectation0.
rewrite valueS expectationS /writes /= subn1 cats0; apply: eq_mean => a.
rewrite backup_token //; case: ifP => sa.
  by rewrite value_stopped ?has_rcons ?sa.
rewrite ih ?has_rcons ?sa // expectationD expectation_const; congr (_ + _).
rewrite (@eq_expectation_policy _ _ _ _ (after (writes pi n.+1 s) [:: a])).
  by apply: eq_expectation => y _; apply: eq_along => t b; rewrite cat_rcons.
by move=> t b; rewrite /after /writes cat_rcons.
Qed.

(** Theorem 7, dense rewards are their sum. Paying every token as it comes is worth, to every
    policy, what the bandit is worth whose string is paid the sum of its tokens' rewards. *)
Theorem dense_rewards_are_their_sum r pi n :
  value (token_mdp r) pi n [::] = expectation (writes pi n [::]) n (along r).
Proof. exact: token_value_after. Qed.

Lemma along_paid_last n Rw y : (0 < n)%N -> y \in strings n -> along (paid_last n Rw) y = Rw y.
Proof.
case: n => // n _; elim: n y Rw => [|n ih] [|a y] Rw; rewrite ?mem_stringsS //.
  rewrite mem_strings0 if_same => /eqP -> /=.
  by rewrite /paid_last orbT addr0.
rewrite /= {1}/paid_last /=; case: ifP => sa; first by move=> /eqP ->; rewrite addr0.
by move=> yn; rewrite add0r -[RHS](ih y (fun t => Rw (a :: t))) ?mem_stringsS.
Qed.

(** Theorem 5, values. Paid with the last token and without discount, the token MDP is worth, to
    every policy, the mean reward of the strings that the policy writes: the bandit's value. *)
Theorem token_value_is_bandit_value Rw pi n : (0 < n)%N ->
  value (token_mdp (paid_last n Rw)) pi n [::] = expectation (writes pi n [::]) n Rw.
Proof.
move=> n0; rewrite dense_rewards_are_their_sum; apply: eq_expectation => y yn.
exact: along_paid_last.
Qed.

(** Theorem 7, the same in one MDP. No policy can tell dense rewards from their sum at the end. *)
Theorem dense_or_last r pi n : (0 < n)%N ->
  value (token_mdp r) pi n [::] = value (token_mdp (paid_last n (along r))) pi n [::].
Proof. by move=> n0; rewrite token_value_is_bandit_value // dense_rewards_are_their_sum. Qed.

Section Optimum.
Variable some_token : A.
Local Notation optimal := (optimal some_token).

Lemma optimal_stopped r n s : has stops s -> optimal (token_mdp r) n s = 0.
Proof.
by move=> ss; elim: n => // n ih; rewrite /= /backup mean_sure /= ss ih mulr0 addr0.
Qed.

Lemma token_optimum_after r n s : ~~ has stops s ->
  let V := optimal (token_mdp r) n s in
  (forall y, y \in strings n -> along (fun t => r (s ++ t)) y <= V) /\
  (exists2 y, y \in strings n & along (fun t => r (s ++ t)) y = V).
Proof.
elim: n s => [|n ih] s sn.
  by split=> [y|]; [rewrite mem_strings0 => /eqP ->|exists [::]; rewrite ?mem_strings0].
have next a t : along (fun t => r (s ++ t)) (a :: t) =
    r s a + along (fun t => r (rcons s a ++ t)) t.
  by rewrite /= cats0; congr (_ + _); apply: eq_along => u b; rewrite cat_rcons.
have sna a : has stops (rcons s a) = stops a by rewrite has_rcons (negbTE sn) orbF.
split=> [[|a y]|]; first by rewrite mem_stringsS.
  rewrite mem_stringsS next => yn; apply: le_trans (backup_optimal some_token _ n s a).
  rewrite backup_token // ler_add2l; move: yn; case: ifP => sa.
    by move=> /eqP ->; rewrite optimal_stopped ?sna.
  by apply: (ih (rcons s a) _).1; rewrite sna sa.
rewrite /=; set a := [arg max_(a > some_token) _ a]%O; rewrite backup_token //.
have [sa|sa] := boolP (stops a).
  by exists [:: a]; rewrite ?mem_stringsS ?sa // next optimal_stopped ?sna.
have [|_ [y yn e]] := ih (rcons s a); first by rewrite sna.
by exists (a :: y); rewrite ?mem_stringsS ?(negbTE sa) // next e.
Qed.

(** Theorem 5, optima. The optimum of the token MDP is the reward of the best string; no law over
    strings is worth more, and the policy that is greedy token by token is worth as much. *)
Theorem token_optimum_is_best_string Rw n : (0 < n)%N ->
  let M := token_mdp (paid_last n Rw) in
  [/\ forall y, y \in strings n -> Rw y <= optimal M n [::],
      exists2 y, y \in strings n & Rw y = optimal M n [::],
      forall p : law R [finType of string n],
        mean p (fun y : string n => Rw y) <= optimal M n [::]
    & expectation (writes (greedy some_token M) n [::]) n Rw = optimal M n [::] ].
Proof.
move=> n0 M; have [le [z zn ez]] := @token_optimum_after (paid_last n Rw) n [::] isT.
have best y : y \in strings n -> Rw y <= optimal M n [::].
  by move=> yn; rewrite -(along_paid_last Rw n0 yn) le.
split=> //; first by exists z; rewrite // -(along_paid_last Rw n0 zn).
  move=> p; rewrite -[leRHS](mean_const p); apply: ler_mean => y.
  exact/best/string_in.
by rewrite -token_value_is_bandit_value // value_greedy.
Qed.

End Optimum.
End TokenMdp.

(** An optimum of the smallest language, paid by length: two tokens are best. *)
Example token_optimum_instance (R : realFieldType) :
  optimal true (token_mdp (pred1 true) (paid_last (pred1 true) 2 (fun y => (size y)%:R : R))) 2
    [::] = 2.
Proof.
have [le [y yn ye] _ _] := token_optimum_is_best_string (pred1 true) true
  (fun y => (size y)%:R : R) (isT : (0 < 2)%N).
apply/le_anti; rewrite -[X in _ && (_ <= X)]ye -{1}ye ler_nat.
have := le [:: false; false]; rewrite -ye strings_instance !inE eqxx !orbT => /(_ isT) ->.
by move: yn; rewrite strings_instance !inE => /or3P[] /eqP ->.
Qed.
