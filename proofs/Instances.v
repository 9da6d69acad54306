(** Numbers computed inside Coq, for a test to hold against the code.

    The definitions that the theorems speak of are sums over finite types, which Coq does not
    unfold. Here each has a twin on lists that it does unfold, over any ordered field, and a
    lemma, its name ending in E, that the two are equal: what is computed below is what is proved
    elsewhere. The lemmas hold for every input, except where the comment says "here".

    The rational numbers are printed at the end, each list after its name. They are small, since
    Coq's rational numbers count in ones. tests/test_instances.py reads them. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From mathcomp Require Import reals topology normedtype sequences exp.
From Coq Require Import String.
From BanditRlhf Require Import Bandit.
From BanditRlhf Require Divergence Gibbs Gradient Selection BradleyTerry OffPolicy Counterexamples.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(** The values of [f] in the order of its finite type. *)
Definition listed (T : finType) (A : Type) (f : T -> A) : seq A := [seq f y | y <- enum T].

Lemma map_listed (T : finType) (A B : Type) (h : A -> B) (f : T -> A) :
  [seq h x | x <- listed f] = listed (fun y => h (f y)).
Proof. by rewrite /listed; elim: (enum T) => //= y s ->. Qed.

Lemma eq_listed (T : finType) (A : Type) (f g : T -> A) : f =1 g -> listed f = listed g.
Proof.
by move=> e; rewrite /listed; elim: (enum T) => //= y s ->; rewrite e.
Qed.

(** A list is [listed]: its values are those of its places. *)
Lemma listed_nth (A : Type) (x : A) (s : seq A) : listed (fun i : 'I_(size s) => nth x s i) = s.
Proof.
transitivity (map (nth x s) (map val (enum 'I_(size s)))).
  by rewrite /listed; elim: (enum _) => //= i e ->.
by rewrite val_enum_ord -/(mkseq _ _) mkseq_nth.
Qed.

Lemma size_listed n (A : Type) (f : 'I_n -> A) : size (listed f) = n.
Proof. by rewrite size_map size_enum_ord. Qed.

Section Lists.
Variable R : realFieldType.

(** The sum of a list. *)
Definition total (s : seq R) : R := foldr +%R 0 s.

Lemma total_big (A : Type) (s : seq A) (h : A -> R) : total [seq h x | x <- s] = \sum_(x <- s) h x.
Proof. by elim: s => [|x s IH]; rewrite ?big_nil ?big_cons //= IH. Qed.

Lemma total_listed (T : finType) (f : T -> R) : total (listed f) = \sum_y f y.
Proof. by rewrite total_big big_enum. Qed.

Lemma total_listed_if (T : finType) (A : Type) (P : pred A) (h : A -> R) (f : T -> A) :
  total [seq h x | x <- listed f & P x] = \sum_(y | P (f y)) h (f y).
Proof. by rewrite total_big big_filter big_map big_enum_cond. Qed.

(** The mean of values under weights, from a list of pairs (weight, value). *)
Definition list_mean (s : seq (R * R)) : R := total [seq x.1 * x.2 | x <- s].

Lemma list_meanE (T : finType) (p : law R T) f :
  list_mean (listed (fun y => (p y, f y))) = mean p f.
Proof. by rewrite /list_mean map_listed total_listed. Qed.

End Lists.

Section Preferences.
Variable R : realFieldType.

(** The chance of a ranking, from the worths of its items, best first. *)
Fixpoint list_plackett_luce (s : seq R) : R :=
  if s is w :: t then w / total s * list_plackett_luce t else 1.

Lemma list_plackett_luceE (T : eqType) (worth : T -> R) (s : seq T) :
  list_plackett_luce [seq worth x | x <- s] = BradleyTerry.plackett_luce worth s.
Proof.
elim: s => // x s IH; rewrite [LHS]/= IH /= /BradleyTerry.choice /BradleyTerry.total.
by rewrite big_cons -total_big.
Qed.

End Preferences.

Section Laws.
Variables (R : realFieldType) (T : finType).
Implicit Types (ref : law R T) (reward : T -> R).

(** The Gibbs law from a list of pairs (mass of the reference, exp(r / beta)). *)
Definition list_gibbs (s : seq (R * R)) : seq R :=
  let z := list_mean s in [seq x.1 * x.2 / z | x <- s].

(** The law of the best of [n] draws, from a list of pairs (mass of the reference, reward). *)
Definition list_best_of_n n (s : seq (R * R)) : seq R :=
  [seq (let below := total [seq z.1 | z <- s & z.2 < x.2] in
        let level := total [seq z.1 | z <- s & z.2 == x.2] in
        ((below + level) ^+ n - below ^+ n) / level * x.1) | x <- s].

Lemma list_best_of_nE ref reward n (n0 : (0 < n)%N) :
  list_best_of_n n (listed (fun y => (ref y, reward y)))
    = listed (Selection.best_of_n ref reward n0).
Proof.
rewrite /list_best_of_n map_listed; apply: eq_listed => y.
by rewrite !total_listed_if /= Selection.at_mostE.
Qed.

Lemma list_weightedE ref (w : T -> R) (w0 : forall y, 0 < w y) :
  list_gibbs (listed (fun y => (ref y, w y))) = listed (Counterexamples.weighted ref w0).
Proof.
by rewrite /list_gibbs list_meanE map_listed.
Qed.

End Laws.

(** A list of masses, not negative and with sum 1, is a law: that of its places. *)
Section Places.
Variables (R : realFieldType) (masses : seq R).
Hypotheses (masses_ge0 : all (fun x => 0 <= x) masses) (masses_sum1 : total masses = 1).

Lemma place_ge0 (i : 'I_(size masses)) : 0 <= nth 0 masses i.
Proof. exact/(all_nthP 0). Qed.

Lemma place_sum1 : \sum_(i < size masses) nth 0 masses i = 1.
Proof. by rewrite -total_listed listed_nth. Qed.

Definition places : law R [finType of 'I_(size masses)] := Law place_ge0 place_sum1.

Lemma zip_listed (values : seq R) : size values = size masses ->
  zip masses values = listed (fun i => (places i, nth 0 values i)).
Proof.
move=> e; rewrite -[LHS](listed_nth (0, 0)) size_zip e minnn; apply: eq_listed => i.
by rewrite nth_zip.
Qed.

End Places.

(** The same at the real numbers, where exp is. *)
Lemma list_gibbsE (R : realType) (T : finType) (ref : law R T) (r : T -> R) (beta : R) :
  list_gibbs (listed (fun y => (ref y, expR (r y / beta)))) = listed (Gibbs.gibbs ref r beta).
Proof.
by rewrite /list_gibbs list_meanE map_listed.
Qed.

(** What is computed over the rationals holds of them as real numbers. *)
Lemma ratr_total (R : realFieldType) (s : seq rat) :
  ratr (total s) = total [seq ratr x : R | x <- s].
Proof.
elim: s => [|x s IH]; first by rewrite /total /= rmorph0.
by rewrite (_ : total [seq _ | _ <- _] = ratr x + total [seq ratr y | y <- s]) // -IH -rmorphD.
Qed.

Lemma ratr_list_gibbs (R : realFieldType) (s : seq (rat * rat)) :
  [seq ratr x : R | x <- list_gibbs s] = list_gibbs [seq (ratr x.1, ratr x.2) | x <- s].
Proof.
have z : ratr (list_mean s) = list_mean [seq (ratr x.1 : R, ratr x.2) | x <- s].
  rewrite /list_mean ratr_total -!map_comp; congr (total _).
  by elim: (s) => //= x l ->; rewrite rmorphM.
rewrite /list_gibbs -z -!map_comp; move: (list_mean s) => m.
by elim: s {z} => //= x s ->; rewrite fmorph_div rmorphM.
Qed.

Section Advantages.
Variable R : realFieldType.
Implicit Types s rewards values : seq R.

(** Leave-one-out advantages of a list of rewards. *)
Definition list_rloo s : seq R := [seq x - (total s - x) / (size s).-1%:R | x <- s].

(** Rewards less their mean. *)
Definition list_group_mean s : seq R := [seq x - total s / (size s)%:R | x <- s].

Lemma list_rlooE n (r : 'I_n -> R) : list_rloo (listed r) = listed (Gradient.rloo r).
Proof.
rewrite /list_rloo total_listed size_listed map_listed; apply: eq_listed => i.
by rewrite /Gradient.rloo [X in X - r i](bigD1 i) //= addrAC subrr add0r.
Qed.

Lemma list_group_meanE n (r : 'I_n -> R) :
  list_group_mean (listed r) = listed (Gradient.group_mean r).
Proof.
by rewrite /list_group_mean total_listed size_listed map_listed.
Qed.

(** Generalised advantages, from the rewards of the steps and the values of the states, the last
    state's too. *)
Fixpoint list_gae (gamma lambda : R) rewards values : seq R :=
  if rewards is r :: later then
    let rest := list_gae gamma lambda later (behead values) in
    r + gamma * nth 0 values 1 - nth 0 values 0 + gamma * lambda * nth 0 rest 0 :: rest
  else [::].

Lemma gae_shift gamma lambda (reward value : nat -> R) n t :
  OffPolicy.gae gamma lambda reward n.+1 value t.+1
    = OffPolicy.gae gamma lambda (fun k => reward k.+1) n (fun k => value k.+1) t.
Proof. by rewrite /OffPolicy.gae big_add1. Qed.

Lemma eq_gae gamma lambda reward n (value value' : nat -> R) t : value =1 value' ->
  OffPolicy.gae gamma lambda reward n value t = OffPolicy.gae gamma lambda reward n value' t.
Proof. by move=> e; apply: eq_bigr => k _; rewrite /OffPolicy.td_error !e. Qed.

Lemma list_gaeE gamma lambda rewards values t :
  nth 0 (list_gae gamma lambda rewards values) t
    = OffPolicy.gae gamma lambda (nth 0 rewards) (size rewards) (nth 0 values) t.
Proof.
elim: rewards values t => [|r rewards IH] values t.
  by rewrite nth_nil /OffPolicy.gae big_geq.
have shift k : OffPolicy.gae gamma lambda (nth 0 (r :: rewards)) (size rewards).+1
    (nth 0 values) k.+1 = nth 0 (list_gae gamma lambda rewards (behead values)) k.
  by rewrite gae_shift IH; apply: eq_gae => j; rewrite nth_behead.
case: t => [|t]; last by rewrite /= shift.
by rewrite OffPolicy.gae_recursion //= shift.
Qed.

End Advantages.

(** The small worlds in which bandit and token MDP part. [Counterexamples.discounted], [repeats],
    [earned] and the rewards and scores of the worlds have no sums and are computed as they are. *)
Section Worlds.
Variable R : realFieldType.

(** The mean over a coin that shows heads with chance [h]. *)
Definition toss (h : R) (f : bool -> R) : R := h * f true + (1 - h) * f false.

(** The mean over two tosses of a fair one. *)
Definition tosses (f : bool * bool -> R) : R :=
  toss (1 / 2) (fun a => toss (1 / 2) (fun b => f (a, b))).

Lemma tossesE f : tosses f = mean (Counterexamples.coins R) f.
Proof. by rewrite Counterexamples.mean_coins /tosses /toss; field. Qed.

(** Theorem 29: an agent that hears the user, and one committed to a second word. *)
Definition heard h (second : bool -> bool) : R :=
  toss h (fun user => Counterexamples.repeats R user (second user)).

Lemma heardE h (h01 : 0 <= h <= 1) second : heard h second = Counterexamples.closed_loop h01 second.
Proof. by rewrite /Counterexamples.closed_loop OffPolicy.mean_coin. Qed.

Lemma committedE h (h01 : 0 <= h <= 1) (strings : law R [finType of bool * bool]) :
  list_mean (listed (fun y => (strings y, heard h (fun=> y.2))))
    = Counterexamples.open_loop h01 strings.
Proof.
rewrite list_meanE; apply: eq_mean => y.
by rewrite OffPolicy.mean_coin.
Qed.

(** Theorem 30: the mean update of a loss that weighs strings by [f]. *)
Definition update_of (f : bool * bool -> R) : seq R :=
  [:: tosses (fun w => f w * Counterexamples.score_first R w);
      tosses (fun w => f w * Counterexamples.score_second R w)].

Lemma update_ofE f : update_of f
  = [:: (Counterexamples.mean_update f).1; (Counterexamples.mean_update f).2].
Proof. by rewrite /update_of !tossesE. Qed.

(** Theorem 31: the advantages of the wrong critic, when the word was [w] ... *)
Definition wrong_gae (lambda : R) (w : bool) : seq R :=
  list_gae 1 lambda (mkseq (fun t => OffPolicy.said_reward R t w) 2)
    (mkseq (fun t => OffPolicy.said_value R t w + OffPolicy.said_error R t w) 3).

(** ... and the mean update that they make. *)
Definition wrong_update (lambda : R) : R := toss (1 / 2) (fun w =>
  total (mkseq (fun t => OffPolicy.said_score R t w * nth 0 (wrong_gae lambda w) t) 2)).

Lemma wrong_updateE lambda : wrong_update lambda = Counterexamples.wrong_update lambda.
Proof.
rewrite /Counterexamples.wrong_update /OffPolicy.update OffPolicy.mean_coin /wrong_update /toss.
suff e w : total (mkseq (fun t => OffPolicy.said_score R t w * nth 0 (wrong_gae lambda w) t) 2)
    = \sum_(0 <= t < 2) OffPolicy.said_score R t w * OffPolicy.gae 1 lambda
        (OffPolicy.said_reward R ^~ w) 2
        (fun t => OffPolicy.said_value R t w + OffPolicy.said_error R t w) t by rewrite !e.
rewrite /mkseq total_big /index_iota subn0; apply: eq_bigr => t _; congr (_ * _).
rewrite list_gaeE size_mkseq /OffPolicy.gae !big_nat; apply: eq_bigr => k /andP[_ k2].
congr (_ * _); rewrite /OffPolicy.td_error.
by case: k k2 => [|[|//]].
Qed.

(** Theorem 32: the conversations, heads and tails after a gamble, then after the safe way, with
    mass and weight; their tilted law; the chance to gamble, and of heads, that it believes in. *)
Definition conversations : seq (bool * bool) :=
  [:: (true, true); (true, false); (false, true); (false, false)].

Definition weighed : seq (R * R) :=
  [seq (1 / 4, Counterexamples.boltzmann R w) | w <- conversations].

Definition gambles : R := list_mean (take 2 weighed) / list_mean weighed.
Definition believes : R := list_mean (take 1 weighed) / list_mean (take 2 weighed).

(** A tie at the world computed here. *)
Lemma gamblesE : let gibbs := Counterexamples.weighted (Counterexamples.coins R)
    (@Counterexamples.boltzmann_gt0 R) in
  [/\ list_gibbs weighed = [seq gibbs w | w <- conversations],
      gambles = Counterexamples.choice gibbs true &
      believes = Counterexamples.dice gibbs true true].
Proof.
have [c d _ _] := Counterexamples.gibbs_optimism R.
split; rewrite ?c ?d /gambles /believes /list_gibbs /list_mean /= /total /=.
- by rewrite !Counterexamples.mean_coins /Counterexamples.boltzmann /=; congr [:: _; _; _; _];
    congr (_ / _); field.
- by rewrite /Counterexamples.boltzmann /=; field.
by rewrite /Counterexamples.boltzmann /=; field.
Qed.

End Worlds.

(** The numbers. A fraction is printed as its numerator and its denominator. *)
Definition printed (s : seq rat) : seq (int * int) := [seq (numq x, denq x) | x <- s].

Definition worths : seq rat := [:: 3; 1; 1 / 2; 7 / 5].
Definition reference : seq rat := [:: 1 / 2; 1 / 6; 1 / 6; 0; 1 / 6].
Definition weights : seq rat := [:: 1; 8; 1 / 3; 5; 9 / 4].
Definition levels : seq rat := [:: 0; 2; 1; 3; 1].
Definition groups : seq (seq rat) :=
  [:: [:: 1; 0]; [:: 1; 0; 0; 1]; [:: 1 / 2; - (3 / 4); 2; 1 / 3; 5]; [:: 7; 7; 7]].
Definition rewards : seq rat := [:: 1 / 2; - 1; 0; 3].
Definition values : seq rat := [:: 5; - (1 / 2); 1; 3 / 2; 0].
Definition lambdas : seq rat := [:: 0; 1 / 2; 1].

(** [reference] is a law, and what is printed of it below is what the theorems speak of. *)
Lemma reference_ge0 : all (fun x => 0 <= x) reference. Proof. by vm_compute. Qed.
Lemma reference_sum1 : total reference = 1. Proof. by apply/eqP; vm_compute. Qed.

Lemma best_of_n_printed n (n0 : (0 < n)%N) : list_best_of_n n (zip reference levels)
  = listed (Selection.best_of_n (places reference_ge0 reference_sum1) (fun i => nth 0 levels i) n0).
Proof. by rewrite -list_best_of_nE -zip_listed. Qed.

Eval compute in "bradley_terry"%string.
Eval vm_compute in printed
  [seq BradleyTerry.bradley_terry (nth 0 worths) x.1 x.2
  | x <- [:: (0, 1); (1, 0); (2, 3); (3, 3)]%N].

Eval compute in "plackett_luce"%string.
Eval vm_compute in printed [seq list_plackett_luce [seq nth 0 worths x | x <- s]
  | s <- [:: [:: 0; 1; 2; 3]; [:: 3; 2; 1; 0]; [:: 2; 0; 3; 1]; [:: 1; 3]]%N].

Eval compute in "gibbs"%string.
Eval vm_compute in printed (list_gibbs (zip reference weights)).

Eval compute in "best_of_1"%string.
Eval vm_compute in printed (list_best_of_n 1 (zip reference levels)).
Eval compute in "best_of_2"%string.
Eval vm_compute in printed (list_best_of_n 2 (zip reference levels)).
Eval compute in "best_of_3"%string.
Eval vm_compute in printed (list_best_of_n 3 (zip reference levels)).

Eval compute in "rloo"%string.
Eval vm_compute in printed (flatten [seq list_rloo s | s <- groups]).
Eval compute in "group_mean"%string.
Eval vm_compute in printed (flatten [seq list_group_mean s | s <- groups]).

Eval compute in "gae"%string.
Eval vm_compute in printed (flatten [seq list_gae (1 / 2) l rewards values | l <- lambdas]).
Eval compute in "gae_undiscounted"%string.
Eval vm_compute in printed (flatten [seq list_gae 1 l rewards values | l <- lambdas]).

Eval compute in "discounted"%string.
Eval vm_compute in printed (
  [seq Counterexamples.discounted (7 / 10) l (l%:R / 8) | l <- [:: 1; 2; 3; 4]%N]
  ++ [seq Counterexamples.discounted (1 / 2) l (l%:R / 8) | l <- [:: 1; 2; 3; 4; 5; 6; 7; 8]%N]).

Eval compute in "user_coin"%string.
Eval vm_compute in printed (flatten
  [seq [:: heard h id; heard h (fun=> true); heard h (fun=> false)] | h <- [:: 1 / 2; 1 / 3]]).

Eval compute in "length_normalisation"%string.
Eval vm_compute in printed (flatten [:: [:: tosses (@Counterexamples.worth _)];
  update_of (@Counterexamples.worth _);
  update_of (fun w => Counterexamples.worth _ w / Counterexamples.tokens _ w);
  update_of (fun w => (Counterexamples.worth _ w - 9 / 10) / Counterexamples.tokens _ w);
  update_of (fun w => 1 / Counterexamples.tokens _ w)]).

Eval compute in "wrong_critic"%string.
Eval vm_compute in printed [seq wrong_update l | l <- lambdas].

Eval compute in "gibbs_optimism"%string.
Eval vm_compute in printed (gambles _ :: believes _ :: list_gibbs (weighed _)).
Eval compute in "earned"%string.
Eval vm_compute in printed
  [seq Counterexamples.earned g | g <- [:: 0; 1 / 2; 32 / (32 + 64); 1]].
