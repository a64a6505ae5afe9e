// A folder with a file of torch.save for each rank of a job, as full tensors.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "lib/formats/import_sources.h"
#include "lib/formats/pickle_names.h"
#include "lib/formats/rank_layout.h"
#include "lib/strided.h"

namespace cairn {

namespace {

class RankImporter {
 public:
  RankImporter(ImportSources& sources, const std::string& folder, RankLayout layout)
      : sources_(sources), folder_(folder), layout_(std::move(layout)) {}

  Status run() {
    CAIRN_CHECK(find_files("", 0));
    if (files_.empty()) {
      return fail(Code::kUsage,
                  fmt::format("no file in '{}' is called like '{}'", folder_, layout_.files),
                  "'files' of the layout says how they are called");
    }
    CAIRN_CHECK(check_ranks());
    if (!others_.empty()) {
      sources_.warn(
          fmt::format("{} file(s) of '{}' are not called like '{}' and passed over, such as '{}'",
                      others_.size(), folder_, layout_.files, others_.front()));
    }
    for (const auto& [path, ranks] : files_) CAIRN_CHECK(add_file(path, ranks));
    return sources_.add_state(std::move(root_), folder_);
  }

 private:
  using Ranks = std::map<std::string, uint64_t>;

  Status find_files(const std::string& below, int depth) {
    static constexpr int kDepthMax = 4;
    CAIRN_TRY(const auto entries,
              sources_.fs().list(below.empty() ? folder_ : join_path(folder_, below)));
    for (const FolderEntry& entry : entries) {
      const std::string path = below.empty() ? entry.name : join_path(below, entry.name);
      if (entry.is_folder) {
        if (depth < kDepthMax) CAIRN_CHECK(find_files(path, depth + 1));
      } else if (const auto ranks = ranks_of_path(layout_.files, path)) {
        files_.emplace(path, *ranks);
        for (const auto& [axis, rank] : *ranks) seen_[axis].insert(rank);
      } else {
        others_.push_back(path);
      }
    }
    return {};
  }

  /// Every rank from 0 on, or a file is missing. Data-parallel ranks may have written but one.
  Status check_ranks() {
    std::string found;
    for (const auto& [axis, ranks] : seen_) {
      const auto told = layout_.ranks.find(axis);
      const uint64_t wanted = told == layout_.ranks.end() ? *ranks.rbegin() + 1 : told->second;
      if (told == layout_.ranks.end()) {
        found += fmt::format("{}{} of {}", found.empty() ? "" : ", ", ranks.size(), axis);
      }
      if (wanted == ranks.size()) continue;
      uint64_t missing = 0;
      while (ranks.contains(missing)) ++missing;
      return fail(
          Code::kNotFound,
          fmt::format("the file of {} rank {} is missing in '{}', where {} are wanted and {} "
                      "are there",
                      axis, missing, folder_, wanted, ranks.size()));
    }
    if (!found.empty()) {
      sources_.warn(
          fmt::format("the layout does not say how many ranks there were: {} are taken for "
                      "all ('ranks' of the layout)",
                      found));
    }
    return {};
  }

  Status add_file(const std::string& below, const Ranks& ranks) {
    const std::string path = join_path(folder_, below);
    CAIRN_TRY(const ByteSpan bytes, sources_.map(path));
    CAIRN_TRY(const TorchFile file, parse_torch_file(bytes, path));
    if (!sources_.request().allow_pickle) {
      CAIRN_CHECK(check_plain(file.graph, fmt::format("'{}'", path)));
    }
    CAIRN_TRY(TakenState taken, take_state(file, path));
    untie(taken.root, taken.tensors);
    for (const NamedTensor& named : taken.tensors) CAIRN_CHECK(add_tensor(named, ranks, path));
    merge(root_, std::move(taken.root));
    sources_.add_pickles({}, std::move(taken.objects));
    return {};
  }

  Status add_tensor(const NamedTensor& named, const Ranks& ranks, const std::string& path) {
    const TorchTensor& own = named.tensor;
    const RankCut* cut = layout_.cut_of(named.name);
    if (cut == nullptr) {
      return add_piece(named.name, own, own.shape, whole_box(own.shape), path);
    }
    const auto rank = ranks.find(cut->axis);
    if (rank == ranks.end()) {
      return fail(Code::kUsage,
                  fmt::format("'{}' is cut over {} ranks, which 'files' of the layout "
                              "does not name",
                              named.name, cut->axis));
    }
    Shape whole;
    auto pieces = pieces_of_rank(*cut, own.shape, rank->second, seen_.at(cut->axis).size(), whole);
    if (!pieces) {
      return tl::unexpected(
          with_context(pieces.error(), fmt::format("taking '{}' of '{}'", named.name, path)));
    }
    for (RankPiece& piece : *pieces) {
      TorchTensor part = own;
      part.shape = piece.box.lengths;
      part.data += static_cast<int64_t>(piece.own) * own.strides_bytes[cut->dim];
      CAIRN_CHECK(add_piece(named.name, part, whole, std::move(piece.box), path));
    }
    return {};
  }

  /// Once, where several ranks have it.
  Status add_piece(const std::string& name, const TorchTensor& part, const Shape& whole, Box box,
                   const std::string& path) {
    const auto [first, fresh] = pieces_.try_emplace({name, box.offsets}, std::pair(part, path));
    if (fresh) return sources_.add_tensor(name, part, whole, std::move(box), folder_);
    const auto& [known, known_path] = first->second;
    const bool is_same =
        known.dtype == part.dtype && known.shape == part.shape &&
        equal_boxes({known.data, known.strides_bytes}, {part.data, part.strides_bytes}, part.shape,
                    bits_per_element(part.dtype) / 8);
    if (is_same) return {};
    return fail(
        Code::kUsage,
        fmt::format("'{}' is one thing in '{}' and another in '{}'", name, known_path, path),
        "a cut of the layout says along which axis ranks have parts of it");
  }

  /// What is tied in one file may be a tensor of its own in another.
  static void untie(StateNode& node, std::vector<NamedTensor>& tensors) {
    for (auto& [key, child] : node.children) untie(child, tensors);
    if (node.kind != StateNode::Kind::kTied) return;
    const auto first = std::find_if(tensors.begin(), tensors.end(), [&](const NamedTensor& each) {
      return each.name == node.tied;
    });
    NamedTensor own{node.name, first->tensor};
    tensors.push_back(std::move(own));
    node.kind = StateNode::Kind::kTensor;
  }

  /// Dicts are united; of what both have the first counts.
  static void merge(StateNode& into, StateNode from) {
    std::map<StateKey, size_t> known;
    for (size_t i = 0; i < into.children.size(); ++i) known.emplace(into.children[i].first, i);
    for (auto& [key, child] : from.children) {
      const auto found = known.find(key);
      if (found == known.end()) {
        into.children.emplace_back(std::move(key), std::move(child));
        continue;
      }
      StateNode& own = into.children[found->second].second;
      const bool are_dicts =
          own.kind == StateNode::Kind::kDict && child.kind == StateNode::Kind::kDict;
      if (are_dicts) merge(own, std::move(child));
    }
  }

  ImportSources& sources_;
  const std::string& folder_;
  const RankLayout layout_;
  std::map<std::string, Ranks> files_;
  std::map<std::string, std::set<uint64_t>> seen_;
  std::vector<std::string> others_;  // files that are called otherwise
  /// By name, and where they begin: the first, and the file that has it.
  std::map<std::pair<std::string, std::vector<uint64_t>>, std::pair<TorchTensor, std::string>>
      pieces_;
  StateNode root_;
};

}  // namespace

Status add_ranks(ImportSources& sources, const std::string& folder) {
  CAIRN_TRY(RankLayout layout, read_rank_layout(sources.fs(), sources.request().layout));
  return RankImporter(sources, folder, std::move(layout)).run();
}

}  // namespace cairn
