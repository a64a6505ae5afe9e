// Pickles one after the other: a magic number, a version, facts of the system, the object, the keys
// of its storages; then the storages in that order, a count of elements before each
// (torch/serialization.py, _legacy_save).
#include "lib/formats/torch_legacy.h"

#include <fmt/format.h>

#include "base/utf8.h"
#include "lib/formats/torch_dtype.h"

namespace cairn {

/// 0x1950a86a20f9469cfc6c as a pickle, of any protocol.
static constexpr std::string_view kMagic = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

bool is_legacy_torch(ByteSpan file) {
  const std::string_view text = as_text(file);
  return text.starts_with("\x80") && text.size() > 2 && text.substr(2).starts_with(kMagic);
}

namespace {

using Kind = PickleNode::Kind;

class LegacyReader {
 public:
  LegacyReader(ByteSpan file, const std::string& path) : rest_(file), path_(path) {}

  Result<TorchFile> run() {
    if (!is_legacy_torch(rest_)) return malformed("it does not begin like one");
    PickleGraph about;
    CAIRN_CHECK(next(about));
    CAIRN_CHECK(next(about));
    CAIRN_TRY(const PickleId system, next(about));
    const PickleId order = about.value_of(system, "little_endian");
    if (order != kNoPickle && about.at(order).integer == 0) {
      return malformed("its tensors are big-endian");
    }
    CAIRN_TRY(made_.root, next(made_.graph));
    CAIRN_TRY(const PickleId keys, next(about));
    find_storages();
    for (const PickleId key : about.at(keys).items) CAIRN_CHECK(take_storage(about.at(key).text));
    CAIRN_CHECK(cut_views());
    return std::move(made_);
  }

 private:
  tl::unexpected<Error> malformed(const std::string& why) const {
    return fail(Code::kUsage, fmt::format("'{}' is no file of torch.save: {}", path_, why));
  }

  Result<PickleId> next(PickleGraph& graph) {
    const auto read = read_pickle(rest_, graph);
    if (!read) return malformed(read.error().message);
    rest_ = rest_.subspan(read->bytes);
    return read->root;
  }

  /// ("storage", class, key, location, elements, view): view: None or (key, offset, elements).
  void find_storages() {
    const PickleGraph& graph = made_.graph;
    for (PickleId id = 0; id < graph.size(); ++id) {
      if (graph.at(id).kind != Kind::kPersistent) continue;
      const std::vector<PickleId>& parts = graph.at(graph.at(id).items.front()).items;
      if (parts.size() < 6 || graph.at(parts[1]).kind != Kind::kGlobal) continue;
      const std::string& key = graph.at(parts[2]).text;
      item_bytes_[key] = storage_item_bytes(graph.at(parts[1]).text);
      const std::vector<PickleId>& view = graph.at(parts[5]).items;
      if (view.size() != 3) continue;
      views_.push_back(
          {graph.at(view[0]).text, key, graph.at(view[1]).integer, graph.at(view[2]).integer});
    }
  }

  Status take_storage(const std::string& key) {
    if (rest_.size() < 8) return malformed("it is cut off");
    const auto elements = load_le<uint64_t>(rest_);
    rest_ = rest_.subspan(8);
    const auto known = item_bytes_.find(key);
    if (known == item_bytes_.end()) {
      return malformed(fmt::format("no tensor lies in its storage '{}'", shown(key)));
    }
    const auto bytes = checked_mul(elements, uint64_t{known->second});
    if (!bytes || *bytes > rest_.size()) return malformed("it is cut off");
    made_.storages[key] = rest_.subspan(0, *bytes);
    rest_ = rest_.subspan(*bytes);
    return {};
  }

  Status cut_views() {
    for (const View& view : views_) {
      const auto root = made_.storages.find(view.root);
      if (root == made_.storages.end() || view.offset < 0 || view.elements < 0) {
        return malformed("a view is of no storage");
      }
      const uint64_t item = item_bytes_[view.root];
      const auto begin = checked_mul(static_cast<uint64_t>(view.offset), item);
      const auto bytes = checked_mul(static_cast<uint64_t>(view.elements), item);
      if (!begin || !bytes || *begin > root->second.size() ||
          *bytes > root->second.size() - *begin) {
        return malformed("a view leaves its storage");
      }
      made_.storages[view.key] = root->second.subspan(*begin, *bytes);
    }
    return {};
  }

  struct View {
    std::string key, root;
    int64_t offset = 0, elements = 0;
  };

  ByteSpan rest_;
  const std::string& path_;
  TorchFile made_;
  std::map<std::string, uint32_t> item_bytes_;
  std::vector<View> views_;
};

}  // namespace

Result<TorchFile> parse_torch_legacy(ByteSpan file, const std::string& path) {
  return LegacyReader(file, path).run();
}

}  // namespace cairn
