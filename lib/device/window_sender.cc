#include "lib/device/window_sender.h"

#include <algorithm>

#include "lib/device/carry.h"

namespace cairn {

namespace {

/// Cuts chunks into windows of so many bytes and pieces; a chunk that is larger is one by itself.
struct WindowLimits {
  uint64_t bytes = 0, pieces = 0;
};

uint64_t bytes_of(const ChunkPieces& chunk) {
  uint64_t bytes = 0;
  for (const StagedPiece& piece : chunk.pieces) bytes += landed_bytes(piece.content.bytes);
  return bytes;
}

template <class Send>
Status for_each_window(std::vector<ChunkPieces> chunks, const WindowLimits& limits,
                       const Send& send) {
  std::vector<ChunkPieces> window;
  uint64_t bytes = 0, pieces = 0;
  for (ChunkPieces& chunk : chunks) {
    const uint64_t added = bytes_of(chunk);
    const bool fits =
        bytes + added <= limits.bytes && pieces + chunk.pieces.size() <= limits.pieces;
    if (!fits && !window.empty()) {
      CAIRN_CHECK(send(std::exchange(window, {})));
      bytes = pieces = 0;
    }
    bytes += added;
    pieces += chunk.pieces.size();
    window.push_back(std::move(chunk));
  }
  return window.empty() ? Status() : send(std::move(window));
}

}  // namespace

bool WindowSender::may_be_coded(const ChunkPieces& chunk) const {
  const bool is_all_here = chunk.pieces.size() == chunk.chunk.units.size();
  Lane* const lane = chunk.pieces.empty() ? nullptr : chunk.pieces.front().lane;
  return lane != nullptr && is_all_here && bytes_of(chunk) <= coded_bytes_most(options_) &&
         std::all_of(chunk.pieces.begin(), chunk.pieces.end(), [&](const StagedPiece& piece) {
           return piece.lane == lane && piece.before && piece.before_digest &&
                  piece.content.bytes > 0;
         });
}

Status WindowSender::send(std::vector<ChunkPieces> chunks) {
  const auto whole = std::stable_partition(
      chunks.begin(), chunks.end(), [&](const ChunkPieces& chunk) { return may_be_coded(chunk); });
  std::vector<ChunkPieces> rest(std::make_move_iterator(whole),
                                std::make_move_iterator(chunks.end()));
  chunks.erase(whole, chunks.end());
  CAIRN_CHECK(send_coded(std::move(chunks)));
  return send_whole(std::move(rest));
}

Status WindowSender::send_coded(std::vector<ChunkPieces> chunks) {
  std::map<Lane*, std::vector<ChunkPieces>> by_lane;
  for (ChunkPieces& chunk : chunks) {
    by_lane[chunk.pieces.front().lane].push_back(std::move(chunk));
  }
  const WindowLimits limits{coded_bytes_most(options_), slab_pieces_most(options_) / 4};
  for (auto& each : by_lane) {
    const auto begin = [&](std::vector<ChunkPieces> window) {
      return begin_coding(*each.first, std::move(window));
    };
    CAIRN_CHECK(for_each_window(std::move(each.second), limits, begin));
    CAIRN_CHECK(finish_coding());
  }
  return {};
}

/// How a chunk's units travel, found by one of its kind if need be.
Result<TransferRecipes> WindowSender::recipes_of(const ChunkPieces& chunk) {
  auto recipes = steps_.recipes(chunk.chunk);
  if (!recipes) {
    CAIRN_CHECK(learn(chunk));
    recipes = steps_.recipes(chunk.chunk);
  }
  if (!recipes) return fail(Code::kBug, "nobody has learnt how a chunk travels");
  return *std::move(recipes);
}

/// The middle one of what lies as rows, or, in one row, the middle of that: about so many items.
static void cut_to_middle(Content& content, uint64_t items_wanted) {
  gpu::Tile& tile = *content.tile;
  const uint64_t item_bytes = content.boxes.front().item_bytes;
  if (tile.rows == 1) {
    const uint64_t items = tile.row_bytes / item_bytes, count = std::min(items, items_wanted);
    tile.data += (items - count) / 2 * item_bytes;
    tile.row_bytes = count * item_bytes;
  } else {
    const uint64_t rows =
        std::clamp<uint64_t>(items_wanted * item_bytes / tile.row_bytes, 1, tile.rows);
    tile.data += static_cast<int64_t>((tile.rows - rows) / 2) * tile.stride_bytes;
    tile.rows = rows;
  }
  content.bytes = tile.rows * tile.row_bytes;
}

/// Of all units, and then of what was before, the same items: about as many as an encoder's trial
/// takes. All of them where they do not lie alike.
static std::vector<Content> samples_of(const ChunkPieces& chunk) {
  constexpr uint64_t kSampleItems = 65536;
  std::vector<Content> samples;
  for (const StagedPiece& piece : chunk.pieces) samples.push_back(piece.content);
  for (const StagedPiece& piece : chunk.pieces) samples.push_back(*piece.before);
  const auto& first = samples.front().tile;
  const bool is_alike =
      first && std::all_of(samples.begin(), samples.end(), [&](const Content& each) {
        return each.tile && each.tile->rows == first->rows;
      });
  if (!is_alike) return samples;
  for (Content& sample : samples) cut_to_middle(sample, kSampleItems);
  return samples;
}

/// Brings some of it, and of what was there before.
Status WindowSender::learn(const ChunkPieces& chunk) {
  Lane& lane = *chunk.pieces.front().lane;
  CAIRN_CHECK(finish_coding());  // it uses a slab
  CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(lane.device()));
  const auto samples = samples_of(chunk);
  std::vector<const Content*> contents;
  for (const Content& sample : samples) contents.push_back(&sample);
  const Slots::Slot slot = slots_.take(slots_.slot_bytes());
  CAIRN_TRY(const Landing landing, Landing::begin(lane, turns_[&lane]++, contents, slot.span()));
  CAIRN_CHECK(landing.wait());
  std::vector<ByteSpan> now, before;
  for (size_t i = 0; i < chunk.pieces.size(); ++i) {
    now.push_back(landing.bytes(i));
    before.push_back(landing.bytes(chunk.pieces.size() + i));
  }
  steps_.learn(chunk.chunk, now, before);
  return {};
}

Status WindowSender::begin_coding(Lane& lane, std::vector<ChunkPieces> chunks) {
  CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(lane.device()));
  std::vector<CodedUnits> coded;
  for (ChunkPieces& chunk : chunks) {
    CAIRN_TRY(auto recipes, recipes_of(chunk));
    coded.push_back({std::move(chunk.pieces), std::move(recipes)});
  }
  Coding next;
  for (ChunkPieces& chunk : chunks) next.chunks.push_back(std::move(chunk.chunk));
  // The window before has a slot too.
  if (slots_.count() < 2) CAIRN_CHECK(finish_coding());
  next.slot = slots_.take(slots_.slot_bytes());
  auto landing = CodedLanding::begin(lane, turns_[&lane]++, coded, next.slot.span());
  CAIRN_CHECK(finish_coding());
  if (!landing && landing.error().code == Code::kNoSpace) {
    // A mix that takes more of the slab's memory than most: it goes whole.
    for (size_t i = 0; i < chunks.size(); ++i) {
      chunks[i] = {std::move(next.chunks[i]), std::move(coded[i].pieces)};
    }
    next.slot = {};
    return send_whole(std::move(chunks));
  }
  CAIRN_TRY(next.landing, std::move(landing));
  coding_ = std::move(next);
  return {};
}

/// Hands on the window that was begun before, if any.
Status WindowSender::finish_coding() {
  if (!coding_) return {};
  Coding coding = *std::exchange(coding_, std::nullopt);
  CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(coding.landing.lane().device()));
  CAIRN_TRY(LandedCodes landed, coding.landing.finish());
  Window window;
  window.slot = std::move(coding.slot);
  window.chunks = std::move(coding.chunks);
  if (landed.contents) {
    std::vector<DigestedUnit*> units;
    for (const CodedUnits& chunk : coding.landing.chunks()) {
      for (const StagedPiece& piece : chunk.pieces) units.push_back(piece.unit);
    }
    window.landed.push_back({*std::move(landed.contents), std::move(units)});
  } else {
    window.sent = std::move(landed.sent);
    for (const CodedUnits& chunk : coding.landing.chunks()) window.recipes.push_back(chunk.recipes);
    window.sent_landed = std::move(landed.landed);
  }
  return give(std::move(window));
}

Status WindowSender::send_whole(std::vector<ChunkPieces> chunks) {
  return for_each_window(
      std::move(chunks), {options_.slab_bytes, slab_pieces_most(options_)},
      [&](std::vector<ChunkPieces> window) { return send_window(std::move(window)); });
}

Status WindowSender::send_window(std::vector<ChunkPieces> chunks) {
  Window window;
  uint64_t bytes = 0;
  std::map<Lane*, std::vector<const StagedPiece*>> by_lane;
  for (const ChunkPieces& chunk : chunks) {
    for (const StagedPiece& piece : chunk.pieces) {
      bytes += landed_bytes(piece.content.bytes) + sizeof(Digest);
      by_lane[piece.lane].push_back(&piece);
    }
  }
  window.slot = slots_.take(bytes);
  MutableBytes host = window.slot.span();
  // What is larger than a slab goes without one.
  const bool is_large = bytes > slots_.slot_bytes();
  for (const auto& [lane, pieces] : by_lane) {
    CAIRN_CHECK(lane == nullptr || is_large ? carry_window(pieces, host, window)
                                            : land_window(*lane, pieces, host, window));
  }
  for (ChunkPieces& chunk : chunks) window.chunks.push_back(std::move(chunk.chunk));
  return give(std::move(window));
}

Status WindowSender::carry_window(std::span<const StagedPiece* const> pieces, MutableBytes& host,
                                  Window& window) {
  for (const StagedPiece* piece : pieces) {
    const MutableBytes to = host.first(piece->content.bytes);
    CAIRN_CHECK(carry(lanes_, piece->content, to));
    window.carried.push_back({piece->unit, to});
    host = host.subspan(landed_bytes(to.size()));
  }
  return {};
}

Status WindowSender::land_window(Lane& lane, std::span<const StagedPiece* const> pieces,
                                 MutableBytes& host, Window& window) {
  CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(lane.device()));
  Window::Landed landed;
  std::vector<const Content*> contents;
  uint64_t taken = 0;
  for (const StagedPiece* piece : pieces) {
    contents.push_back(&piece->content);
    landed.units.push_back(piece->unit);
    taken += landed_bytes(piece->content.bytes) + sizeof(Digest);
  }
  CAIRN_TRY(landed.landing, Landing::begin(lane, turns_[&lane]++, contents, host.first(taken)));
  host = host.subspan(taken);
  window.landed.push_back(std::move(landed));
  return {};
}

Status WindowSender::give(Window window) {
  return storing_.give(std::move(window)) ? Status() : storing_.finish();
}

}  // namespace cairn
