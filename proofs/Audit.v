(** The assumptions of every registered theorem, printed one by one.

    This file is made from `proofs/theorems.toml` by `python -m bandit_rlhf.theorems.pages`.
    tests/test_theorems.py reads what it prints. *)

From BanditRlhf Require BradleyTerry.
From BanditRlhf Require ChainRule.
From BanditRlhf Require Counterexamples.
From BanditRlhf Require Divergence.
From BanditRlhf Require Draws.
From BanditRlhf Require Gibbs.
From BanditRlhf Require Goodhart.
From BanditRlhf Require Gradient.
From BanditRlhf Require Language.
From BanditRlhf Require Mdp.
From BanditRlhf Require OffPolicy.
From BanditRlhf Require PolicyGradient.
From BanditRlhf Require Prefix.
From BanditRlhf Require Selection.
From BanditRlhf Require SoftBellman.
From BanditRlhf Require Softmax.
From BanditRlhf Require TokenMdp.
From Coq Require Import String.
Local Open Scope string_scope.

Eval compute in "Softmax.score_mean_zero".
Print Assumptions Softmax.score_mean_zero.
Eval compute in "Softmax.mean_score".
Print Assumptions Softmax.mean_score.
Eval compute in "Softmax.log_moves".
Print Assumptions Softmax.log_moves.
Eval compute in "Softmax.moving_score_mean_zero".
Print Assumptions Softmax.moving_score_mean_zero.
Eval compute in "Softmax.mean_moves".
Print Assumptions Softmax.mean_moves.
Eval compute in "Softmax.tilt_moves".
Print Assumptions Softmax.tilt_moves.
Eval compute in "Softmax.softmax_log".
Print Assumptions Softmax.softmax_log.
Eval compute in "Softmax.softmax_partial".
Print Assumptions Softmax.softmax_partial.
Eval compute in "Softmax.log_softmax_partial".
Print Assumptions Softmax.log_softmax_partial.
Eval compute in "Softmax.mean_softmax_partial".
Print Assumptions Softmax.mean_softmax_partial.
Eval compute in "Softmax.moves_instance".
Print Assumptions Softmax.moves_instance.
Eval compute in "Gibbs.gibbs_instance".
Print Assumptions Gibbs.gibbs_instance.
Eval compute in "Gradient.constant_baseline".
Print Assumptions Gradient.constant_baseline.
Eval compute in "Gradient.prefix_baseline".
Print Assumptions Gradient.prefix_baseline.
Eval compute in "Gradient.own_reward_free_baseline".
Print Assumptions Gradient.own_reward_free_baseline.
Eval compute in "Gradient.gradient_shift".
Print Assumptions Gradient.gradient_shift.
Eval compute in "Gradient.ignores_instance".
Print Assumptions Gradient.ignores_instance.
Eval compute in "Gradient.rloo_unbiased".
Print Assumptions Gradient.rloo_unbiased.
Eval compute in "Gradient.rloo_rescaled".
Print Assumptions Gradient.rloo_rescaled.
Eval compute in "Gradient.group_mean_shrinks".
Print Assumptions Gradient.group_mean_shrinks.
Eval compute in "Gradient.rloo_shift".
Print Assumptions Gradient.rloo_shift.
Eval compute in "Gradient.groups_instance".
Print Assumptions Gradient.groups_instance.
Eval compute in "Prefix.same_string_law".
Print Assumptions Prefix.same_string_law.
Eval compute in "Prefix.string_law_next_token".
Print Assumptions Prefix.string_law_next_token.
Eval compute in "Prefix.next_token_string_law".
Print Assumptions Prefix.next_token_string_law.
Eval compute in "Prefix.next_token_string_law_instance".
Print Assumptions Prefix.next_token_string_law_instance.
Eval compute in "Language.strings_instance".
Print Assumptions Language.strings_instance.
Eval compute in "TokenMdp.token_value_is_bandit_value".
Print Assumptions TokenMdp.token_value_is_bandit_value.
Eval compute in "Mdp.value_le_optimal".
Print Assumptions Mdp.value_le_optimal.
Eval compute in "TokenMdp.token_optimum_is_best_string".
Print Assumptions TokenMdp.token_optimum_is_best_string.
Eval compute in "TokenMdp.token_optimum_instance".
Print Assumptions TokenMdp.token_optimum_instance.
Eval compute in "Mdp.value_le_optimal_instance".
Print Assumptions Mdp.value_le_optimal_instance.
Eval compute in "PolicyGradient.gradients_of_both_views_agree".
Print Assumptions PolicyGradient.gradients_of_both_views_agree.
Eval compute in "PolicyGradient.gradients_instance".
Print Assumptions PolicyGradient.gradients_instance.
Eval compute in "TokenMdp.dense_rewards_are_their_sum".
Print Assumptions TokenMdp.dense_rewards_are_their_sum.
Eval compute in "Mdp.shaping_telescopes".
Print Assumptions Mdp.shaping_telescopes.
Eval compute in "Mdp.shaped_value".
Print Assumptions Mdp.shaped_value.
Eval compute in "TokenMdp.dense_or_last".
Print Assumptions TokenMdp.dense_or_last.
Eval compute in "Mdp.shaped_value_instance".
Print Assumptions Mdp.shaped_value_instance.
Eval compute in "ChainRule.kl_chain_rule".
Print Assumptions ChainRule.kl_chain_rule.
Eval compute in "ChainRule.log_ratio_along".
Print Assumptions ChainRule.log_ratio_along.
Eval compute in "ChainRule.kl_chain_rule_laws".
Print Assumptions ChainRule.kl_chain_rule_laws.
Eval compute in "ChainRule.kl_chain_rule_instance".
Print Assumptions ChainRule.kl_chain_rule_instance.
Eval compute in "ChainRule.entropy_chain_rule".
Print Assumptions ChainRule.entropy_chain_rule.
Eval compute in "Gibbs.gibbs_identity".
Print Assumptions Gibbs.gibbs_identity.
Eval compute in "Gibbs.gibbs_upper_bound".
Print Assumptions Gibbs.gibbs_upper_bound.
Eval compute in "Gibbs.gibbs_unique".
Print Assumptions Gibbs.gibbs_unique.
Eval compute in "Gibbs.gibbs_value".
Print Assumptions Gibbs.gibbs_value.
Eval compute in "SoftBellman.soft_policy_is_gibbs".
Print Assumptions SoftBellman.soft_policy_is_gibbs.
Eval compute in "SoftBellman.soft_value_is_log_partition".
Print Assumptions SoftBellman.soft_value_is_log_partition.
Eval compute in "SoftBellman.soft_policy_is_optimal".
Print Assumptions SoftBellman.soft_policy_is_optimal.
Eval compute in "SoftBellman.soft_policy_is_optimal_instance".
Print Assumptions SoftBellman.soft_policy_is_optimal_instance.
Eval compute in "Gibbs.dpo_inversion".
Print Assumptions Gibbs.dpo_inversion.
Eval compute in "Gibbs.dpo_reparametrisation".
Print Assumptions Gibbs.dpo_reparametrisation.
Eval compute in "Gibbs.prompt_shift_invariance".
Print Assumptions Gibbs.prompt_shift_invariance.
Eval compute in "Gibbs.shift_moves_all_values".
Print Assumptions Gibbs.shift_moves_all_values.
Eval compute in "Gibbs.natural_gradient_path".
Print Assumptions Gibbs.natural_gradient_path.
Eval compute in "Gibbs.mirror_path".
Print Assumptions Gibbs.mirror_path.
Eval compute in "Gibbs.gibbs_flow".
Print Assumptions Gibbs.gibbs_flow.
Eval compute in "Gibbs.natural_gradient".
Print Assumptions Gibbs.natural_gradient.
Eval compute in "Gibbs.gibbs_entropy_unique".
Print Assumptions Gibbs.gibbs_entropy_unique.
Eval compute in "Gibbs.gibbs_entropy_closed_form".
Print Assumptions Gibbs.gibbs_entropy_closed_form.
Eval compute in "Gibbs.gibbs_entropy_identity".
Print Assumptions Gibbs.gibbs_entropy_identity.
Eval compute in "Mdp.performance_difference".
Print Assumptions Mdp.performance_difference.
Eval compute in "OffPolicy.ips_unbiased".
Print Assumptions OffPolicy.ips_unbiased.
Eval compute in "OffPolicy.ips_unbiased_batch".
Print Assumptions OffPolicy.ips_unbiased_batch.
Eval compute in "OffPolicy.weights_bias".
Print Assumptions OffPolicy.weights_bias.
Eval compute in "OffPolicy.doubly_robust_bias".
Print Assumptions OffPolicy.doubly_robust_bias.
Eval compute in "OffPolicy.doubly_robust_right_model".
Print Assumptions OffPolicy.doubly_robust_right_model.
Eval compute in "OffPolicy.doubly_robust_right_sampler".
Print Assumptions OffPolicy.doubly_robust_right_sampler.
Eval compute in "OffPolicy.per_decision_unbiased".
Print Assumptions OffPolicy.per_decision_unbiased.
Eval compute in "OffPolicy.gae_wrong_critic".
Print Assumptions OffPolicy.gae_wrong_critic.
Eval compute in "OffPolicy.gae_lambda1".
Print Assumptions OffPolicy.gae_lambda1.
Eval compute in "OffPolicy.gae_update_bias".
Print Assumptions OffPolicy.gae_update_bias.
Eval compute in "OffPolicy.gae_update_lambda1".
Print Assumptions OffPolicy.gae_update_lambda1.
Eval compute in "OffPolicy.gae_update_right_critic".
Print Assumptions OffPolicy.gae_update_right_critic.
Eval compute in "OffPolicy.gae_gradient_bias".
Print Assumptions OffPolicy.gae_gradient_bias.
Eval compute in "OffPolicy.propensity_instance".
Print Assumptions OffPolicy.propensity_instance.
Eval compute in "OffPolicy.gae_instance".
Print Assumptions OffPolicy.gae_instance.
Eval compute in "Gradient.k2_loss_gradient".
Print Assumptions Gradient.k2_loss_gradient.
Eval compute in "Gradient.k1_slope".
Print Assumptions Gradient.k1_slope.
Eval compute in "Gradient.k2_slope".
Print Assumptions Gradient.k2_slope.
Eval compute in "Gradient.k3_slope".
Print Assumptions Gradient.k3_slope.
Eval compute in "Gradient.kl_slope".
Print Assumptions Gradient.kl_slope.
Eval compute in "Gradient.reverse_kl_slope".
Print Assumptions Gradient.reverse_kl_slope.
Eval compute in "Gradient.k1_loss_gradient".
Print Assumptions Gradient.k1_loss_gradient.
Eval compute in "Gradient.k3_loss_gradient".
Print Assumptions Gradient.k3_loss_gradient.
Eval compute in "Gradient.k1_reward_gradient".
Print Assumptions Gradient.k1_reward_gradient.
Eval compute in "Gradient.k1_mean".
Print Assumptions Gradient.k1_mean.
Eval compute in "Gradient.k3_mean".
Print Assumptions Gradient.k3_mean.
Eval compute in "Gradient.grpo_weight".
Print Assumptions Gradient.grpo_weight.
Eval compute in "Draws.count_right_binomial".
Print Assumptions Draws.count_right_binomial.
Eval compute in "Selection.best_of_n_pmf".
Print Assumptions Selection.best_of_n_pmf.
Eval compute in "Selection.best_of_n_supported".
Print Assumptions Selection.best_of_n_supported.
Eval compute in "Selection.best_of_n_ratio".
Print Assumptions Selection.best_of_n_ratio.
Eval compute in "Selection.best_of_one".
Print Assumptions Selection.best_of_one.
Eval compute in "Selection.best_of_n_kl_top".
Print Assumptions Selection.best_of_n_kl_top.
Eval compute in "Selection.selection_instance".
Print Assumptions Selection.selection_instance.
Eval compute in "Selection.fair_picks_best_instance".
Print Assumptions Selection.fair_picks_best_instance.
Eval compute in "Goodhart.weight_average_is_mean_ensemble".
Print Assumptions Goodhart.weight_average_is_mean_ensemble.
Eval compute in "Goodhart.weight_average_two_layers".
Print Assumptions Goodhart.weight_average_two_layers.
Eval compute in "BradleyTerry.plackett_luce_pair".
Print Assumptions BradleyTerry.plackett_luce_pair.
Eval compute in "BradleyTerry.irrelevant_alternatives".
Print Assumptions BradleyTerry.irrelevant_alternatives.
Eval compute in "BradleyTerry.plackett_luce_marginal".
Print Assumptions BradleyTerry.plackett_luce_marginal.
Eval compute in "BradleyTerry.plackett_luce_sum1".
Print Assumptions BradleyTerry.plackett_luce_sum1.
Eval compute in "BradleyTerry.bradley_terry_cycle".
Print Assumptions BradleyTerry.bradley_terry_cycle.
Eval compute in "BradleyTerry.rankings_instance".
Print Assumptions BradleyTerry.rankings_instance.
Eval compute in "BradleyTerry.preference_amplification".
Print Assumptions BradleyTerry.preference_amplification.
Eval compute in "BradleyTerry.majority_amplified".
Print Assumptions BradleyTerry.majority_amplified.
Eval compute in "Goodhart.abstention_threshold".
Print Assumptions Goodhart.abstention_threshold.
Eval compute in "Goodhart.threshold_rule_best".
Print Assumptions Goodhart.threshold_rule_best.
Eval compute in "Goodhart.abstention_instance".
Print Assumptions Goodhart.abstention_instance.
Eval compute in "Gibbs.gibbs_support".
Print Assumptions Gibbs.gibbs_support.
Eval compute in "Gibbs.steps_support".
Print Assumptions Gibbs.steps_support.
Eval compute in "Gibbs.gradient_off_support".
Print Assumptions Gibbs.gradient_off_support.
Eval compute in "Goodhart.data_processing".
Print Assumptions Goodhart.data_processing.
Eval compute in "Goodhart.image_tilt".
Print Assumptions Goodhart.image_tilt.
Eval compute in "Goodhart.merging_keeps_kl".
Print Assumptions Goodhart.merging_keeps_kl.
Eval compute in "Goodhart.merging_keeps_mean".
Print Assumptions Goodhart.merging_keeps_mean.
Eval compute in "Goodhart.merging_instance".
Print Assumptions Goodhart.merging_instance.
Eval compute in "SoftBellman.log_ratio_stochastic".
Print Assumptions SoftBellman.log_ratio_stochastic.
Eval compute in "SoftBellman.log_ratio_is_return_less_luck".
Print Assumptions SoftBellman.log_ratio_is_return_less_luck.
Eval compute in "SoftBellman.log_ratio_stochastic_instance".
Print Assumptions SoftBellman.log_ratio_stochastic_instance.
Eval compute in "Counterexamples.discount_prefers_shorter".
Print Assumptions Counterexamples.discount_prefers_shorter.
Eval compute in "Counterexamples.discount_gives_away".
Print Assumptions Counterexamples.discount_gives_away.
Eval compute in "Counterexamples.user_coin".
Print Assumptions Counterexamples.user_coin.
Eval compute in "Counterexamples.user_coin_closed_loop".
Print Assumptions Counterexamples.user_coin_closed_loop.
Eval compute in "Counterexamples.user_coin_open_loop".
Print Assumptions Counterexamples.user_coin_open_loop.
Eval compute in "Counterexamples.length_normalisation_reverses".
Print Assumptions Counterexamples.length_normalisation_reverses.
Eval compute in "Counterexamples.length_normalisation_teaches_length".
Print Assumptions Counterexamples.length_normalisation_teaches_length.
Eval compute in "Counterexamples.wrong_critic".
Print Assumptions Counterexamples.wrong_critic.
Eval compute in "Counterexamples.wrong_critic_computed".
Print Assumptions Counterexamples.wrong_critic_computed.
Eval compute in "Counterexamples.gibbs_optimism".
Print Assumptions Counterexamples.gibbs_optimism.
Eval compute in "Counterexamples.gibbs_tilts_user".
Print Assumptions Counterexamples.gibbs_tilts_user.
Eval compute in "Divergence.chi2_transfer".
Print Assumptions Divergence.chi2_transfer.
Eval compute in "Divergence.tilt_supported".
Print Assumptions Divergence.tilt_supported.
Eval compute in "Divergence.pinsker".
Print Assumptions Divergence.pinsker.
Eval compute in "Divergence.kl_ge0".
Print Assumptions Divergence.kl_ge0.
Eval compute in "Divergence.kl_eq0".
Print Assumptions Divergence.kl_eq0.
Eval compute in "Divergence.donsker_varadhan".
Print Assumptions Divergence.donsker_varadhan.
Eval compute in "Divergence.donsker_varadhan_eq".
Print Assumptions Divergence.donsker_varadhan_eq.
Eval compute in "Divergence.sub_gaussian_gain".
Print Assumptions Divergence.sub_gaussian_gain.
Eval compute in "Divergence.sub_gaussian_instance".
Print Assumptions Divergence.sub_gaussian_instance.
Eval compute in "Selection.best_of_n_kl".
Print Assumptions Selection.best_of_n_kl.
Eval compute in "Selection.best_of_n_win_rate".
Print Assumptions Selection.best_of_n_win_rate.
Eval compute in "Goodhart.catastrophic_goodhart".
Print Assumptions Goodhart.catastrophic_goodhart.
Eval compute in "Goodhart.heavy_proxy_square".
Print Assumptions Goodhart.heavy_proxy_square.
Eval compute in "Goodhart.heavy_gain".
Print Assumptions Goodhart.heavy_gain.
Eval compute in "Goodhart.heavy_gold".
Print Assumptions Goodhart.heavy_gold.
Eval compute in "Goodhart.heavy_kl".
Print Assumptions Goodhart.heavy_kl.
Eval compute in "Goodhart.pessimism".
Print Assumptions Goodhart.pessimism.
Eval compute in "Goodhart.pessimism_instance".
Print Assumptions Goodhart.pessimism_instance.
Eval compute in "Softmax.softmax_gradient_bound".
Print Assumptions Softmax.softmax_gradient_bound.
Eval compute in "Softmax.softmax_gradient_sqr_bound".
Print Assumptions Softmax.softmax_gradient_sqr_bound.
Eval compute in "Softmax.moving_gradient_bound".
Print Assumptions Softmax.moving_gradient_bound.
Eval compute in "BradleyTerry.maximum_needs_cycles".
Print Assumptions BradleyTerry.maximum_needs_cycles.
Eval compute in "BradleyTerry.undefeated_runs_off".
Print Assumptions BradleyTerry.undefeated_runs_off.
Eval compute in "BradleyTerry.undefeated_instance".
Print Assumptions BradleyTerry.undefeated_instance.
