// Clusters as a save makes them, of one step of a simulated trainer.
#pragma once

#include "lib/cluster.h"
#include "tests/lib/trainer.h"

namespace cairn {

/// First and second moment, master, weight of one parameter, with what they were a step before.
class SampleStep {
 public:
  explicit SampleStep(uint64_t items, unsigned seed = 1, Dtype weight = Dtype::kBF16) {
    Trainer trainer(seed);
    trainer.add("p", {items}, weight);
    for (int i = 0; i < 5; ++i) trainer.step();
    before_ = trainer.state();
    trainer.step();
    now_ = trainer.state();
    facts = trainer.facts();
    const std::pair<const char*, Role> members[] = {{"p.first", Role::kExpAvg},
                                                    {"p.second", Role::kExpAvgSq},
                                                    {"p.master", Role::kMaster},
                                                    {"p.weight", Role::kWeight}};
    for (const auto& [name, role] : members) {
      Member& member = cluster.emplace_back();
      const HeldTensor& tensor = now_.at(name);
      member.role = role;
      member.dtype = tensor.dtype;
      member.form = {static_cast<uint8_t>(bits_per_element(tensor.dtype) / 8), true};
      member.is_wanted = true;
      member.now = tensor.bytes;
      member.digest = blake3(member.now);
      member.place.entry = static_cast<uint32_t>(cluster.size() - 1);
      member.before = before_.at(name).bytes;
      member.base = BaseUnit{{0, member.place.entry},
                             {blake3(member.before), member.place.entry},
                             blake3(member.before),
                             static_cast<uint32_t>(member.before.size())};
    }
  }
  SampleStep(const SampleStep&) = delete;
  SampleStep& operator=(const SampleStep&) = delete;

  void forget_before() {
    for (Member& member : cluster) member.before = {}, member.base.reset();
  }

  static constexpr size_t kFirst = 0, kSecond = 1, kMaster = 2, kWeight = 3;
  Cluster cluster;
  StepFacts facts;

 private:
  State before_, now_;
};

}  // namespace cairn
