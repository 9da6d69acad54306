(** A contextual bandit with finitely many actions: laws, expectations, value.

    A law (a policy at one prompt, a reference policy, a comparison's outcome) is a
    function into the numbers together with the proofs that it is non-negative and
    sums to one. Numbers are any ordered field, so that the same statements can be
    computed over the rationals; files that need exp and ln ask for a realType. *)

From mathcomp Require Import all_ssreflect all_algebra.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Law.
Variables (R : realFieldType) (T : finType).

(** A probability law on [T]. *)
Record law := Law {
  mass :> T -> R;
  mass_ge0 : forall x, 0 <= mass x;
  mass_sum1 : \sum_x mass x = 1
}.

(** The mean of [f] under [p]: the sum of p(x) f(x). *)
Definition mean (p : law) (f : T -> R) : R := \sum_x p x * f x.

(** The variance of [f] under [p]. *)
Definition variance (p : law) (f : T -> R) : R :=
  mean p (fun x => (f x - mean p f) ^+ 2).

(** [p] has full support. *)
Definition positive (p : law) : Prop := forall x, 0 < p x.

(** [p] lives where [q] does: what q never draws, p never draws. *)
Definition supported (p q : law) : Prop := forall x, q x = 0 -> p x = 0.

Lemma mass_le1 (p : law) x : p x <= 1.
Proof.
rewrite -(mass_sum1 p) (bigD1 x) //= ler_addl.
by apply: sumr_ge0 => y _; apply: mass_ge0.
Qed.

Lemma meanD p f g : mean p (fun x => f x + g x) = mean p f + mean p g.
Proof. by rewrite /mean -big_split; apply: eq_bigr => x _; rewrite mulrDr. Qed.

Lemma meanZ p c f : mean p (fun x => c * f x) = c * mean p f.
Proof. by rewrite /mean mulr_sumr; apply: eq_bigr => x _; rewrite mulrCA. Qed.

Lemma meanB p f g : mean p (fun x => f x - g x) = mean p f - mean p g.
Proof. by rewrite /mean -sumrB; apply: eq_bigr => x _; rewrite mulrBr. Qed.

Lemma mean_const p c : mean p (fun _ => c) = c.
Proof. by rewrite /mean -mulr_suml mass_sum1 mul1r. Qed.

Lemma eq_mean p f g : f =1 g -> mean p f = mean p g.
Proof. by move=> fg; apply: eq_bigr => x _; rewrite fg. Qed.

Lemma mean_ge0 p f : (forall x, 0 <= f x) -> 0 <= mean p f.
Proof. by move=> f0; apply: sumr_ge0 => x _; rewrite mulr_ge0 ?mass_ge0. Qed.

Lemma ler_mean p f g : (forall x, f x <= g x) -> mean p f <= mean p g.
Proof. by move=> fg; apply: ler_sum => x _; rewrite ler_wpmul2l ?mass_ge0. Qed.

End Law.

Arguments law R T : clear implicits.
