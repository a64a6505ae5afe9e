#include "lib/change_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/stop.h"
#include "lib/describe.h"
#include "lib/page_marks.h"
#include "store/checkpoint.h"

namespace cairn {
namespace {

/// All tensors of all tags by name, and which of them each schema has.
class TensorList {
 public:
  Status add(const Store& store, const TagEntry& tag) {
    auto& numbers = numbers_of_[tag.schema.digest];
    if (!numbers.empty()) return {};
    CAIRN_TRY(const auto checkpoint, Checkpoint::open(store, tag));
    CAIRN_TRY(const Layout layout, checkpoint->layout());
    const auto& schema = checkpoint->schema().tensors;
    for (size_t i = 0; i < schema.size(); ++i) {
      const auto [at, is_new] = number_of_.try_emplace(schema[i].name, tensors_.size());
      if (is_new) {
        const std::string parameter =
            i < layout.tensors.size() ? layout.tensors[i].parameter : std::string();
        tensors_.push_back({schema[i].name, tensor_class(layout, i), parameter});
      }
      numbers.push_back(at->second);
    }
    return {};
  }

  const std::vector<NamedTensor>& tensors() const { return tensors_; }
  const std::vector<size_t>& numbers(const TagEntry& tag) const {
    return numbers_of_.at(tag.schema.digest);
  }

 private:
  std::vector<NamedTensor> tensors_;
  std::unordered_map<std::string, size_t> number_of_;
  std::unordered_map<Digest, std::vector<size_t>> numbers_of_;
};

class ChangeMapper {
 public:
  ChangeMapper(const Store& store, const TagColumns& tags, const std::atomic<bool>* stop)
      : store_(store), tags_(tags), stop_(stop), marks_(store) {}

  Result<ChangeMap> run(size_t rows_max) {
    for (const TagEntry& tag : tags_.tags) {
      CAIRN_CHECK(unless_stopped(stop_, "the report"));
      CAIRN_CHECK(list_.add(store_, tag));
    }
    TensorGroups groups = group_tensors(list_.tensors(), rows_max);
    row_of_ = std::move(groups.group_of);
    map_.rows = std::move(groups.groups);
    map_.columns = tags_.columns.size();
    map_.cells.resize(map_.rows.size() * map_.columns);
    for (const TagGroup& group : tags_.groups) CAIRN_CHECK(count_group(group));
    map_.pages_read = marks_.pages_read();
    return std::move(map_);
  }

 private:
  Status count_group(const TagGroup& group) {
    std::unique_ptr<Checkpoint> before;
    for (size_t i = group.first; i < group.first + group.count; ++i) {
      CAIRN_CHECK(unless_stopped(stop_, "the report"));
      CAIRN_TRY(auto now, Checkpoint::open(store_, tags_.tags[i]));
      while (i >= tags_.columns[column_].first + tags_.columns[column_].count) ++column_;
      const auto counted = before == nullptr ? count_first(*now) : compare(*now, *before);
      if (!counted) {
        return tl::unexpected(
            with_context(counted.error(), fmt::format("reading tag '{}'", tags_.tags[i].name)));
      }
      marks_.keep_only(now->manifest().pages);
      before = std::move(now);
    }
    return {};
  }

  ChangeCell& cell(const Checkpoint& checkpoint, size_t tensor) {
    const size_t row = row_of_[list_.numbers(checkpoint.tag())[tensor]];
    return map_.cells[row * map_.columns + column_];
  }

  Status count_first(const Checkpoint& now) {
    for (size_t tensor = 0; tensor < now.schema().tensors.size(); ++tensor) {
      cell(now, tensor).first_chunks += now.chunk_count(tensor);
    }
    return {};
  }

  Status compare(const Checkpoint& now, const Checkpoint& before) {
    const auto& pages = now.plan().pages;
    for (size_t page = 0; page < pages.size(); ++page) {
      for (const PageRun& run : pages[page]) {
        if (!now.is_tensor(run.item)) continue;
        CAIRN_TRY(const uint64_t new_chunks, count_new(now, page, run, before));
        ChangeCell& counts = cell(now, run.item);
        counts.chunks += run.chunk_count;
        counts.new_chunks += new_chunks;
      }
    }
    return {};
  }

  Result<uint64_t> count_new(const Checkpoint& now, size_t page, const PageRun& run,
                             const Checkpoint& before) {
    const auto tensor = same_tensor(now, run.item, before);
    if (!tensor) return run.chunk_count;
    const auto place = before.plan().place(*tensor, run.first_chunk);
    const Reference& here = now.table().pages[page].page;
    const bool is_same_page = before.table().pages[place.page].page.digest == here.digest;
    if (is_same_page && place.entry == run.first_entry) return 0;
    CAIRN_TRY(const auto marks, page_marks(now, page));
    size_t other_page = place.page;
    CAIRN_TRY(auto others, page_marks(before, other_page));
    uint64_t new_chunks = 0;
    for (uint64_t i = 0; i < run.chunk_count; ++i) {
      const auto other = before.plan().place(*tensor, run.first_chunk + i);
      if (other.page != other_page) {
        other_page = other.page;
        CAIRN_TRY(others, page_marks(before, other_page));
      }
      new_chunks += (*marks)[run.first_entry + i] != (*others)[other.entry];
    }
    return new_chunks;
  }

  /// The tensor of the same name, dtype and shape in another tag.
  static std::optional<size_t> same_tensor(const Checkpoint& now, size_t tensor,
                                           const Checkpoint& before) {
    if (now.tag().schema.digest == before.tag().schema.digest) return tensor;
    const TensorInfo& wanted = now.schema().tensors[tensor];
    const auto number = before.find_tensor(wanted.name);
    if (!number) return std::nullopt;
    const TensorInfo& found = before.schema().tensors[*number];
    const bool is_same = found.dtype == wanted.dtype && found.shape == wanted.shape &&
                         found.chunk_count == wanted.chunk_count;
    return is_same ? number : std::nullopt;
  }

  Result<std::shared_ptr<const PageMarks>> page_marks(const Checkpoint& checkpoint, size_t page) {
    CAIRN_TRY(auto marks, marks_.marks(checkpoint.table().pages[page].page));
    const PageRun& last = checkpoint.plan().pages[page].back();
    if (marks->size() != last.first_entry + last.chunk_count) {
      return fail(Code::kCorrupt, fmt::format("page {} of tag '{}' has {} entries instead of {}",
                                              page, checkpoint.tag().name, marks->size(),
                                              last.first_entry + last.chunk_count));
    }
    return marks;
  }

  const Store& store_;
  const TagColumns& tags_;
  const std::atomic<bool>* stop_;
  PageMarkCache marks_;
  TensorList list_;
  std::vector<size_t> row_of_;  // per tensor of the list
  ChangeMap map_;
  size_t column_ = 0;
};

}  // namespace

Result<ChangeMap> map_changes(const Store& store, const TagColumns& tags, size_t rows_max,
                              const std::atomic<bool>* stop) {
  return ChangeMapper(store, tags, stop).run(rows_max);
}

}  // namespace cairn
