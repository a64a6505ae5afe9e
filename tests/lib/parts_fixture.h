// Saves by several ranks, each of which stores its boxes as a part.
#pragma once

#include <fmt/format.h>

#include <memory>

#include "lib/save_part.h"
#include "tests/lib/series_fixture.h"

namespace cairn {

/// What each rank saves.
using RankRequests = std::vector<SaveRequest>;
using SavedParts = std::vector<std::unique_ptr<SavedPart>>;

/// Cuts all tensors of two axes into rows x columns, those of one axis into as many runs.
struct Mesh {
  uint64_t rows = 1, columns = 1;
  uint32_t ranks() const { return static_cast<uint32_t>(rows * columns); }
};

class PartsFixture : public SeriesFixture {
 protected:
  /// A box of a tensor where it lies in the whole's memory.
  static TensorSource box_of(const std::string& name, const HeldTensor& tensor, const Box& box,
                             uint32_t writer) {
    const StorageForm form = *storage_form(tensor.dtype, tensor.shape);
    const Box items = *storage_box(form, tensor.shape, box);
    TensorSource source{name, tensor.dtype, tensor.shape,
                        box,  nullptr,      contiguous_strides(form.shape, form.item_bytes)};
    uint64_t offset = 0;
    for (size_t axis = 0; axis < items.rank(); ++axis) {
      offset += items.offsets[axis] * static_cast<uint64_t>(source.strides_bytes[axis]);
    }
    source.data = tensor.bytes.data() + offset;
    source.writer = writer;
    source.role = tensor.role;
    source.parameter = tensor.parameter;
    return source;
  }

  /// Each rank has the boxes that are its own; what is not cut has the first.
  static RankRequests cut_by_writer(const SaveRequest& whole, uint32_t ranks) {
    RankRequests requests(ranks, whole);
    for (uint32_t rank = 0; rank < ranks; ++rank) {
      std::erase_if(requests[rank].tensors,
                    [&](const TensorSource& source) { return source.writer != rank; });
      if (rank > 0) requests[rank].attachments.clear();
    }
    return requests;
  }

  SavedParts store_parts(const RankRequests& requests) const {
    SavedParts parts;
    for (const SaveRequest& request : requests) {
      auto part = save_part(*store_, request);
      EXPECT_TRUE(succeeds(part));
      if (part) parts.push_back(*std::move(part));
    }
    return parts;
  }

  static SaveRequest uniting(const SaveRequest& like, const SavedParts& parts) {
    SaveRequest request = like;
    request.tensors.clear();
    request.attachments.clear();
    request.base_memory.clear();
    for (const auto& part : parts) request.parts.push_back(part->name());
    return request;
  }
  static void keep_all(SavedParts& parts) {
    for (const auto& part : parts) part->keep();
    parts.clear();
  }

  /// All of a save by ranks. Without ranks' `base` in common, none.
  Result<SaveResult> save_together(const RankRequests& requests) const {
    SavedParts parts = store_parts(requests);
    auto saved = save(*store_, uniting(requests.front(), parts));
    keep_all(parts);
    return saved;
  }

  std::vector<std::string> files_in(const std::string& folder) const {
    std::vector<std::string> paths;
    const auto entries = posix_fs().list(path() + "/" + folder);
    if (!entries) return paths;
    for (const FolderEntry& entry : *entries) {
      const std::string inside = folder + "/" + entry.name;
      if (entry.is_file) {
        paths.push_back(inside);
      } else {
        const auto deeper = files_in(inside);
        paths.insert(paths.end(), deeper.begin(), deeper.end());
      }
    }
    return paths;
  }

  void SetUp() override {
    StoreFixture::SetUp();
    state_ = state(1);
  }

  /// Tensors of every kind of cut: on chunk edges, beside them, within chunks that lie in their
  /// page, with ranks that have nothing.
  static State state(uint32_t seed) {
    State state;
    const auto add = [&](const std::string& name, Dtype dtype, const Shape& shape) {
      const uint64_t bytes = *checked_bytes(dtype, shape);
      state[name] = {dtype, shape, Role::kNone, "", noise(bytes, seed++)};
    };
    add("even", Dtype::kBF16, {64, 64});
    add("odd", Dtype::kF32, {70, 33});
    add("flat", Dtype::kI64, {3001});
    add("nibbles", Dtype::kF4, {40, 64});
    add("whole.nibbles", Dtype::kF4, {9, 10});
    add("in.page", Dtype::kF32, {8, 8});
    add("few", Dtype::kI32, {3});
    add("one", Dtype::kF32, {});
    add("none", Dtype::kBF16, {0, 4});
    return state;
  }

  static bool can_be_cut(const HeldTensor& tensor) {
    return !tensor.shape.empty() && !storage_form(tensor.dtype, tensor.shape)->flat;
  }

  static Box box_in(const HeldTensor& tensor, const Mesh& mesh, uint64_t row, uint64_t column) {
    Box box = whole_box(tensor.shape);
    const uint64_t unit = storage_form(tensor.dtype, tensor.shape)->unit_elements;
    const auto cut = [&](size_t axis, uint64_t part, uint64_t parts) {
      const uint64_t step = axis + 1 == tensor.shape.size() ? unit : 1;
      const uint64_t length = tensor.shape[axis] / step;
      box.offsets[axis] = length * part / parts * step;
      box.lengths[axis] = length * (part + 1) / parts * step - box.offsets[axis];
    };
    if (tensor.shape.size() == 1) {
      cut(0, row * mesh.columns + column, mesh.rows * mesh.columns);
    } else {
      cut(0, row, mesh.rows);
      cut(1, column, mesh.columns);
    }
    return box;
  }

  /// What each rank of the mesh has; what cannot be cut is the last rank's.
  static RankRequests cut_state(const std::string& tag, const State& state, const Mesh& mesh) {
    RankRequests requests(mesh.ranks());
    for (uint32_t rank = 0; rank < mesh.ranks(); ++rank) {
      requests[rank].tag = tag;
      requests[rank].base = "none";
      for (const auto& [name, tensor] : state) {
        const bool is_cut = can_be_cut(tensor);
        if (!is_cut && rank + 1 != mesh.ranks()) continue;
        const Box box = is_cut ? box_in(tensor, mesh, rank / mesh.columns, rank % mesh.columns)
                               : whole_box(tensor.shape);
        requests[rank].tensors.push_back(box_of(name, tensor, box, rank));
      }
    }
    return requests;
  }

  /// By one process.
  void save_alone(const std::string& tag, const State& state,
                  IfExists if_exists = IfExists::kError) {
    SaveRequest request = cut_state(tag, state, {1, 1})[0];
    request.if_exists = if_exists;
    ASSERT_TRUE(succeeds(save(*store_, request)));
    states_[tag] = state;
  }

  /// The same boxes in one request.
  static SaveRequest joined(const RankRequests& requests, const std::string& tag) {
    SaveRequest whole = requests.front();
    whole.tag = tag;
    for (size_t rank = 1; rank < requests.size(); ++rank) {
      const auto& more = requests[rank].tensors;
      whole.tensors.insert(whole.tensors.end(), more.begin(), more.end());
    }
    return whole;
  }

  void refuses(Code code, std::string_view words, const SaveRequest& request) const {
    const auto saved = save(*store_, request);
    ASSERT_TRUE(fails_with(code, saved)) << words;
    EXPECT_NE(saved.error().message.find(words), std::string::npos) << saved.error().message;
    EXPECT_FALSE(store_->find_tag(request.tag)) << "nothing is visible";
  }

  void collect_all() {
    const auto report = collect(*store_, GcRequest{});
    ASSERT_TRUE(succeeds(report));
    EXPECT_TRUE(report->failures.empty());
  }

  State state_;
};

/// The state is that of a trainer.
class TrainedParts : public PartsFixture {
 protected:
  void SetUp() override {
    PartsFixture::SetUp();
    trainer_.add("a", {64, 40});
    trainer_.add("b", {30, 33}, Dtype::kF16);
    trainer_.add("c", {4});
    trainer_.add("e", {1100});
  }

  RankRequests requests(const std::string& tag, const Mesh& mesh) {
    RankRequests requests = cut_state(tag, trainer_.state(), mesh);
    for (SaveRequest& request : requests) {
      request.base.reset();
      request.optimizer.common = trainer_.facts();
    }
    return requests;
  }
  SaveResult save_step(const std::string& tag, const Mesh& mesh, const Change& change = {}) {
    RankRequests all = requests(tag, mesh);
    if (change) {
      for (SaveRequest& request : all) change(request);
    }
    const auto saved = save_together(all);
    EXPECT_TRUE(succeeds(saved)) << tag;
    states_[tag] = trainer_.state();
    return saved ? *saved : SaveResult();
  }

  Trainer trainer_{7};
};

}  // namespace cairn
