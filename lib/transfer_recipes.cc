#include "lib/transfer_recipes.h"

#include <cmath>

#include "lib/optimizer_facts.h"

namespace cairn {

static TransferRecipe plain_recipe(const Member& member, size_t number) {
  return {Way::kDelta, {member.form.bytes, false}, {}, {}, {{number, true}}};
}

TransferRecipes plain_recipes(const Cluster& cluster) {
  TransferRecipes recipes;
  for (size_t i = 0; i < cluster.size(); ++i) recipes.push_back(plain_recipe(cluster[i], i));
  return recipes;
}

/// What a way of encoding means for the way to the host.
static TransferRecipe recipe_of(const Cluster& cluster, size_t member,
                                const std::optional<FittedWay>& found) {
  TransferRecipe recipe{Way::kPlanes, cluster[member].form};
  if (!found) return recipe;
  switch (found->way.way) {
    case Way::kZstd:
    case Way::kPlanes:
      return recipe;
    case Way::kDelta:
      return plain_recipe(cluster[member], member);
    case Way::kDerived:
      recipe.form.is_float = true;
      recipe.cast = found->way.cast;
      break;
    case Way::kReplay:
      if (!found->parameters) return recipe;
      recipe.form.is_float = true;
      recipe.parameters = *found->parameters;
      break;
  }
  recipe.way = found->way.way;
  recipe.sources = found->way.sources;
  return recipe;
}

RecipeBook::Kind RecipeBook::kind_of(const Cluster& cluster, std::span<const StepFacts> facts) {
  Kind kind;
  for (const Member& member : cluster) kind.members.emplace_back(member.role, member.dtype);
  kind.facts.assign(facts.begin(), facts.end());
  for (StepFacts& each : kind.facts) {
    // One that is no number would be equal to none, itself included.
    for (const auto& [name, number] : step_numbers()) {
      if (each.*number && std::isnan(*(each.*number))) (each.*number).reset();
    }
  }
  return kind;
}

std::optional<TransferRecipes> RecipeBook::find(const Cluster& cluster,
                                                std::span<const StepFacts> facts) const {
  const Kind kind = kind_of(cluster, facts);
  const std::lock_guard lock(mutex_);
  for (const auto& [known, recipes] : known_) {
    if (known == kind) return recipes;
  }
  return std::nullopt;
}

void RecipeBook::learn(ClusterEncoder& encoder, const Cluster& cluster,
                       std::span<const StepFacts> facts) {
  TransferRecipes recipes;
  for (size_t i = 0; i < cluster.size(); ++i) {
    recipes.push_back(recipe_of(cluster, i, encoder.find_way(cluster, i, facts[i], false)));
  }
  Kind kind = kind_of(cluster, facts);
  const std::lock_guard lock(mutex_);
  known_.emplace_back(std::move(kind), std::move(recipes));
}

}  // namespace cairn
