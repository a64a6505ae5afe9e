// Series of checkpoints whose copies are made from each other: saved, remembered, and compared with
// what loads.
#pragma once

#include "lib/check.h"
#include "lib/describe.h"
#include "store/forget.h"
#include "store/gc/collect.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/trainer.h"
#include "tests/support/outcome.h"

namespace cairn {

class SeriesFixture : public StoreFixture {
 protected:
  /// How a state is cut among writers; an axis of the tensors that have it.
  struct Cut {
    uint64_t parts = 1;
    size_t axis = 0;
  };

  static void add_tensor(const std::string& name, const HeldTensor& tensor, const Cut& cut,
                         SaveRequest& request) {
    const uint64_t item = bits_per_element(tensor.dtype) / 8;
    const bool is_cut =
        cut.parts > 1 && cut.axis < tensor.shape.size() && !whole_box(tensor.shape).is_empty();
    const auto strides = contiguous_strides(tensor.shape, item);
    for (uint64_t part = 0; part < (is_cut ? cut.parts : 1); ++part) {
      TensorSource source{
          name, tensor.dtype, tensor.shape, whole_box(tensor.shape), tensor.bytes.data(), strides};
      source.role = tensor.role;
      source.parameter = tensor.parameter;
      source.writer = static_cast<uint32_t>(part);
      if (is_cut) {
        const uint64_t length = tensor.shape[cut.axis];
        source.box.offsets[cut.axis] = length * part / cut.parts;
        source.box.lengths[cut.axis] =
            length * (part + 1) / cut.parts - source.box.offsets[cut.axis];
        source.data = tensor.bytes.data() +
                      source.box.offsets[cut.axis] * static_cast<uint64_t>(strides[cut.axis]);
      }
      if (!is_cut || !source.box.is_empty()) request.tensors.push_back(std::move(source));
    }
  }

  /// A parameter of whose tensors each has pages of its own, if such pages come before it.
  static std::string paged_parameter(const std::string& prefix) {
    for (int number = 0;; ++number) {
      const std::string name = prefix + std::to_string(number);
      const auto closes = [&](const char* suffix) {
        return blake3(as_bytes(name + suffix)).bytes[0] % 32 == 0;
      };
      if (closes(".first") && closes(".second") && closes(".master") && closes(".weight")) {
        return name;
      }
    }
  }

  /// Points into `state`.
  static SaveRequest request_of(const std::string& tag, const State& state, const Cut& cut) {
    SaveRequest request;
    request.tag = tag;
    for (const auto& [name, tensor] : state) add_tensor(name, tensor, cut, request);
    return request;
  }

  using Change = std::function<void(SaveRequest&)>;

  /// Saves and remembers.
  SaveResult save_state(const std::string& tag, const State& state, const StepFacts& facts = {},
                        const Change& change = {}, const Cut& cut = {1, 0}) {
    SaveRequest request = request_of(tag, state, cut);
    request.optimizer.common = facts;
    if (change) change(request);
    const auto saved = save(*store_, request);
    EXPECT_TRUE(succeeds(saved)) << tag;
    if (!saved) return {};
    states_[tag] = state;
    return *saved;
  }
  SaveResult save_trainer(const std::string& tag, Trainer& trainer, const Change& change = {},
                          const Cut& cut = {1, 0}) {
    return save_state(tag, trainer.state(), trainer.facts(), change, cut);
  }

  void forget(const std::vector<std::string>& names) {
    std::vector<TagEntry> tags;
    for (const std::string& name : names) {
      tags.push_back(*store_->find_tag(name));
      states_.erase(name);
    }
    ASSERT_TRUE(succeeds(forget_tags(*store_, tags, true, std::chrono::seconds(0))));
  }

  Result<State> load_state(const std::string& tag) const {
    CAIRN_TRY(auto checkpoint, open_tag(*store_, tag));
    State state = states_.at(tag);
    LoadRequest request;
    request.strict = true;
    for (auto& [name, tensor] : state) {
      std::fill(tensor.bytes.begin(), tensor.bytes.end(), uint8_t{0xee});
      request.targets.push_back(
          {name, tensor.dtype, tensor.shape, whole_box(tensor.shape), tensor.bytes.data(), {}});
    }
    CAIRN_CHECK(load(*checkpoint, request));
    return state;
  }

  void expect_exact(const std::string& tag) const {
    const auto loaded = load_state(tag);
    ASSERT_TRUE(succeeds(loaded)) << tag;
    for (const auto& [name, tensor] : states_.at(tag)) {
      EXPECT_TRUE(loaded->at(name).bytes == tensor.bytes) << tag << " " << name;
    }
  }

  void expect_boxes(const std::string& tag, unsigned seed) const {
    auto checkpoint = *open_tag(*store_, tag);
    EXPECT_TRUE(succeeds(load_boxes(*checkpoint, states_.at(tag), seed))) << tag;
  }
  /// Three boxes of each tensor at random, in any order; what loads is compared.
  static Status load_boxes(Checkpoint& checkpoint, const State& state, unsigned seed) {
    std::mt19937 random(seed);
    LoadRequest request;
    std::vector<Bytes> room, expected;
    for (int round = 0; round < 3; ++round) {
      for (const auto& [name, tensor] : state) {
        const uint64_t item = bits_per_element(tensor.dtype) / 8;
        Box box = whole_box(tensor.shape);
        if (box.is_empty()) continue;
        for (size_t axis = 0; axis < box.rank(); ++axis) {
          box.offsets[axis] = random() % tensor.shape[axis];
          box.lengths[axis] = 1 + random() % (tensor.shape[axis] - box.offsets[axis]);
        }
        room.emplace_back(box.elements() * item, uint8_t{0xee});
        expected.push_back(part_of(tensor, box));
        request.targets.push_back({name, tensor.dtype, tensor.shape, box, room.back().data(), {}});
      }
    }
    std::vector<size_t> order(request.targets.size());
    for (size_t i = 0; i < order.size(); ++i) std::swap(order[i] = i, order[random() % (i + 1)]);
    LoadRequest shuffled;
    for (const size_t i : order) shuffled.targets.push_back(request.targets[i]);
    CAIRN_CHECK(load(checkpoint, shuffled));
    for (size_t i = 0; i < room.size(); ++i) {
      EXPECT_TRUE(room[i] == expected[i])
          << request.targets[i].name << " " << request.targets[i].box.text();
    }
    return {};
  }
  /// Of a tensor of one or two axes.
  static Bytes part_of(const HeldTensor& tensor, const Box& box) {
    const uint64_t item = bits_per_element(tensor.dtype) / 8;
    const bool is_flat = box.rank() == 1;
    const uint64_t row = item * (is_flat ? tensor.shape[0] : tensor.shape[1]);
    Bytes part;
    for (uint64_t i = 0; i < (is_flat ? 1 : box.lengths[0]); ++i) {
      const uint64_t first = (is_flat ? 0 : box.offsets[0] + i) * row + box.offsets.back() * item;
      const auto begin = tensor.bytes.begin() + static_cast<int64_t>(first);
      part.insert(part.end(), begin, begin + static_cast<int64_t>(box.lengths.back() * item));
    }
    return part;
  }

  /// Copies of all tensors of the role, by encoding.
  std::map<std::string, uint64_t> encodings(const std::string& tag,
                                            std::optional<Role> role = std::nullopt) const {
    std::map<std::string, uint64_t> counts;
    auto checkpoint = *open_tag(*store_, tag);
    for (const auto& [name, tensor] : states_.at(tag)) {
      if (role && tensor.role != *role) continue;
      const auto described = describe_tensor(*checkpoint, *checkpoint->find_tensor(name));
      EXPECT_TRUE(succeeds(described));
      for (const auto& [held, usage] : described->encodings) {
        counts[held_name(held)] += usage.chunks;
      }
    }
    return counts;
  }

  CheckReport check_all() const {
    CheckRequest request;
    request.tags = store_->read_tags()->tags;
    request.read_percent = 100;
    const auto report = check(*store_, request);
    EXPECT_TRUE(succeeds(report));
    return report ? *report : CheckReport();
  }

  /// Every tag that stands has its bytes, and nothing is amiss.
  void expect_sound() {
    store_ = *Store::open(posix_fs(), path());
    EXPECT_EQ(store_->read_tags()->tags.size(), states_.size());
    for (const auto& [tag, state] : states_) expect_exact(tag);
    for (const Damage& damage : check_all().damage) {
      ADD_FAILURE() << damage.kind << " " << damage.tag << " " << damage.tensor << " "
                    << damage.message;
    }
  }

  std::map<std::string, State> states_;
};

}  // namespace cairn
