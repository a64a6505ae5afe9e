#include "lib/formats/rank_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/glob.h"

namespace cairn {

using nlohmann::json;

static constexpr uint64_t kLayoutBytesMax = 16 * kMiB;
static const std::vector<std::string> kAxes = {"tp", "pp", "dp", "ep"};
/// The paths of neuronx_distributed's trainer/checkpoint.py and of SMP's partial checkpoints.
static const std::map<std::string, std::string> kFormats = {
    {"nxd", "model/dp_rank_{dp}_tp_rank_{tp}_pp_rank_{pp}.pt"},
    {"nxd-ep", "model/dp_rank_{dp}_ep_rank_{ep}_tp_rank_{tp}_pp_rank_{pp}.pt"},
    {"smp", "model_{pp}_{tp}_{dp}.pt"},
};

const RankCut* RankLayout::cut_of(const std::string& name) const {
  for (const RankCut& cut : cuts) {
    if (std::any_of(cut.match.begin(), cut.match.end(),
                    [&](const std::string& glob) { return glob_match(glob, name); })) {
      return &cut;
    }
  }
  return nullptr;
}

namespace {

class LayoutParser {
 public:
  explicit LayoutParser(const std::string& path) : path_(path) {}

  Result<RankLayout> parse(const json& told) {
    if (!told.is_object()) return malformed("it is no JSON object");
    for (const auto& [key, value] : told.items()) {
      if (key != "format" && key != "files" && key != "cuts" && key != "ranks") {
        return malformed(fmt::format("'{}' is not known", key));
      }
    }
    RankLayout layout;
    CAIRN_CHECK(parse_files(told, layout));
    CAIRN_CHECK(parse_ranks(told.value("ranks", json::object()), layout));
    const json cuts = told.value("cuts", json::array());
    if (!cuts.is_array()) return malformed("'cuts' is no list");
    for (const json& cut : cuts) CAIRN_CHECK(parse_cut(cut, layout));
    return layout;
  }

 private:
  tl::unexpected<Error> malformed(const std::string& why) const {
    return fail(Code::kUsage, fmt::format("the layout '{}' is not understood: {}", path_, why),
                "'cairn help import' shows one");
  }

  Status parse_files(const json& told, RankLayout& layout) const {
    if (told.contains("files")) {
      if (!told["files"].is_string()) return malformed("'files' is no text");
      layout.files = told["files"].get<std::string>();
    } else {
      const auto known = told.contains("format") && told["format"].is_string()
                             ? kFormats.find(told["format"].get<std::string>())
                             : kFormats.end();
      if (known == kFormats.end()) {
        return malformed("'format' is none of nxd, nxd-ep, smp, and there is no 'files'");
      }
      layout.files = known->second;
    }
    return check_pattern(layout.files);
  }

  /// At least one kind of ranks, and none that is not known.
  Status check_pattern(const std::string& pattern) const {
    size_t count = 0;
    for (size_t open = pattern.find('{'); open != std::string::npos;
         open = pattern.find('{', open)) {
      const size_t close = pattern.find('}', open);
      if (close == std::string::npos || !is_axis(pattern.substr(open + 1, close - open - 1))) {
        return malformed(
            fmt::format("'files' has other braces than {{{}}}", fmt::join(kAxes, "}, {")));
      }
      open = close;
      ++count;
    }
    if (count == 0) return malformed("'files' has none of {tp}, {pp}, {dp}, {ep}");
    return {};
  }

  Status parse_ranks(const json& told, RankLayout& layout) const {
    if (!told.is_object()) return malformed("'ranks' is no object");
    for (const auto& [axis, count] : told.items()) {
      if (!is_axis(axis) || !count.is_number_unsigned()) {
        return malformed(fmt::format("'ranks' has '{}': {}", axis, count.dump()));
      }
      layout.ranks.emplace(axis, count.get<uint64_t>());
    }
    return {};
  }

  Status parse_cut(const json& told, RankLayout& layout) const {
    if (!told.is_object() || !told.contains("match") || !told.contains("dim")) {
      return malformed("a cut lacks 'match' or 'dim'");
    }
    RankCut cut;
    const json& match = told["match"];
    for (const json& glob : match.is_array() ? match : json::array({match})) {
      if (!glob.is_string()) return malformed("'match' is no text");
      cut.match.push_back(glob.get<std::string>());
    }
    for (const auto& [key, value] : told.items()) {
      if (key == "match") continue;
      if (key == "dim" && value.is_number_unsigned()) {
        cut.dim = value.get<size_t>();
      } else if (key == "stride" && value.is_number_unsigned() && value.get<uint64_t>() > 0) {
        cut.stride = value.get<uint64_t>();
      } else if (key == "axis" && value.is_string() && is_axis(value.get<std::string>())) {
        cut.axis = value.get<std::string>();
      } else {
        return malformed(fmt::format("'{}' of a cut is {}", key, value.dump()));
      }
    }
    layout.cuts.push_back(std::move(cut));
    return {};
  }

  static bool is_axis(const std::string& word) {
    return std::find(kAxes.begin(), kAxes.end(), word) != kAxes.end();
  }

  const std::string& path_;
};

}  // namespace

Result<RankLayout> read_rank_layout(Fs& fs, const std::string& path) {
  CAIRN_TRY(const Bytes text, read_file(fs, path, kLayoutBytesMax));
  return LayoutParser(path).parse(json::parse(text.begin(), text.end(), nullptr, false));
}

std::optional<std::map<std::string, uint64_t>> ranks_of_path(const std::string& pattern,
                                                             const std::string& path) {
  std::map<std::string, uint64_t> ranks;
  size_t at = 0;
  for (size_t i = 0; i < pattern.size();) {
    const size_t close = pattern[i] == '{' ? pattern.find('}', i) : std::string::npos;
    if (close == std::string::npos) {
      if (at >= path.size() || path[at++] != pattern[i++]) return std::nullopt;
      continue;
    }
    const size_t begin = at;
    while (at < path.size() && path[at] >= '0' && path[at] <= '9' && at - begin < 9) ++at;
    if (at == begin) return std::nullopt;
    ranks[pattern.substr(i + 1, close - i - 1)] = std::stoull(path.substr(begin, at - begin));
    i = close + 1;
  }
  return at == path.size() ? std::optional(ranks) : std::nullopt;
}

Result<std::vector<RankPiece>> pieces_of_rank(const RankCut& cut, const Shape& own, uint64_t rank,
                                              uint64_t ranks, Shape& whole) {
  if (cut.dim >= own.size() || own[cut.dim] % cut.stride != 0 || own[cut.dim] < cut.stride) {
    return fail(Code::kUsage,
                fmt::format("a tensor of shape {} cannot have been cut along axis {} "
                            "in {} part(s)",
                            shape_text(own), cut.dim, cut.stride),
                "correct 'dim' and 'stride' of the layout");
  }
  whole = own;
  whole[cut.dim] *= ranks;
  const uint64_t length = own[cut.dim] / cut.stride;
  std::vector<RankPiece> pieces;
  for (uint64_t part = 0; part < cut.stride; ++part) {
    RankPiece piece{whole_box(own), part * length};
    piece.box.lengths[cut.dim] = length;
    piece.box.offsets[cut.dim] = (part * ranks + rank) * length;
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

}  // namespace cairn
