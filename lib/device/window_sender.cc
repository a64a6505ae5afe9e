#include "lib/device/window_sender.h"

#include <algorithm>

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

/// As the encodings take them (lib/cluster_writer.cc), but for what is float.
ItemForm WindowSender::form_of(const StagedPiece& piece) const {
  const uint64_t item_bytes = plan_.tensors[piece.unit->unit.item].form.item_bytes;
  const bool is_width = item_bytes == 2 || item_bytes == 4 || item_bytes == 8;
  return {static_cast<uint8_t>(is_width ? item_bytes : 1)};
}

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
  for (auto& [lane, of_lane] : by_lane) {
    CAIRN_CHECK(for_each_window(std::move(of_lane), limits, [&](std::vector<ChunkPieces> window) {
      return begin_coding(*lane, std::move(window));
    }));
    CAIRN_CHECK(finish_coding());
  }
  return {};
}

Status WindowSender::begin_coding(Lane& lane, std::vector<ChunkPieces> chunks) {
  CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(lane.device()));
  Coding next{std::move(chunks), slots_.take(slots_.slot_bytes()), {}};
  std::vector<StagedPiece> pieces;
  std::vector<ItemForm> forms;
  for (const ChunkPieces& chunk : next.chunks) {
    for (const StagedPiece& piece : chunk.pieces) {
      pieces.push_back(piece);
      forms.push_back(form_of(piece));
    }
  }
  CAIRN_TRY(next.landing,
            CodedLanding::begin(lane, turns_[&lane]++, std::move(pieces), forms, next.slot.span()));
  CAIRN_CHECK(finish_coding());
  coding_ = std::move(next);
  return {};
}

/// Hands on the window that was begun before, if any.
Status WindowSender::finish_coding() {
  if (!coding_) return {};
  Coding coding = *std::exchange(coding_, std::nullopt);
  const std::vector<StagedPiece>& pieces = coding.landing.pieces();
  CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(pieces.front().lane->device()));
  CAIRN_TRY(LandedCodes landed, coding.landing.finish());
  Window window;
  window.slot = std::move(coding.slot);
  std::vector<DigestedUnit*> units;
  for (const StagedPiece& piece : pieces) units.push_back(piece.unit);
  for (ChunkPieces& chunk : coding.chunks) window.chunks.push_back(std::move(chunk.chunk));
  if (landed.is_whole) {
    window.landed.push_back({std::move(landed.contents), std::move(units)});
  } else {
    window.codes = std::move(landed.codes);
    window.codes_landed = std::move(landed.landed);
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
    CAIRN_CHECK(carry(*piece, to));
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

Status WindowSender::carry(const StagedPiece& piece, MutableBytes to) const {
  const auto& memories = piece.content.memories;
  copy_host_boxes(piece.content, to);
  for (const auto& [device, lane] : lanes_) {
    if (std::find(memories.begin(), memories.end(), device) == memories.end()) continue;
    CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(device));
    CAIRN_CHECK(lane->wait_for_caller());
    CAIRN_CHECK(carry_down(piece.content, device, lane->copies(), to));
    lane->count_brought(to.size());
  }
  return {};
}

Status WindowSender::give(Window window) {
  return storing_.give(std::move(window)) ? Status() : storing_.finish();
}

}  // namespace cairn
