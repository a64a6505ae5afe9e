#include <fmt/format.h>

#include "base/digest.h"
#include "gpu/digest_plan.h"
#include "tests/bench/gpu/rows.h"

namespace cairn::gpu {

namespace {

constexpr uint64_t kChecked = 16;  ///< digests, spread over all

using Tiles = std::vector<Tile>;

/// The digests of tiles that cover each buffer.
class DigestTiles final : public Operation {
 public:
  static Prepared prepare(const BenchData& data, Share share,
                          Tiles (*tiles_of)(uint8_t*, uint64_t, uint64_t), uint64_t tile_bytes) {
    auto made = std::make_unique<DigestTiles>();
    made->share_ = share;
    for (const DeviceMemory& buffer : data.buffers) {
      Part part;
      part.tiles = tiles_of(buffer.data(), data.buffer_bytes, tile_bytes);
      CAIRN_TRY(part.plan, DigestPlan::make(part.tiles));
      CAIRN_TRY(part.image, DeviceMemory::allocate(part.plan.image().size()));
      CAIRN_CHECK(copy_up({}, part.image.data(), part.plan.image()));
      made->parts_.push_back(std::move(part));
    }
    const DigestPlan& plan = made->parts_.front().plan;
    CAIRN_TRY(made->workspace_, DeviceMemory::allocate(plan.workspace_bytes()));
    CAIRN_TRY(made->digests_, DeviceMemory::allocate(sizeof(Digest) * plan.tiles()));
    return made;
  }

  Status enqueue(Stream stream, size_t turn) override {
    const Part& part = of_turn(turn);
    return digest(stream, part.plan, span_of(part.image), span_of(workspace_), span_of(digests_),
                  share_);
  }

  Status check(size_t turn) override {
    const Tiles& tiles = of_turn(turn).tiles;
    const uint64_t step = std::max<uint64_t>(1, tiles.size() / kChecked);
    for (uint64_t i = 0; i < tiles.size(); i += step) CAIRN_CHECK(check_tile(tiles[i], i));
    return check_tile(tiles.back(), tiles.size() - 1);
  }

  uint64_t counted_bytes() const override { return parts_.front().plan.bytes(); }

 private:
  struct Part {
    Tiles tiles;
    DigestPlan plan;
    DeviceMemory image;
  };

  const Part& of_turn(size_t turn) const { return parts_[turn % parts_.size()]; }
  static DeviceSpan span_of(const DeviceMemory& memory) { return {memory.data(), memory.size()}; }

  Status check_tile(const Tile& tile, uint64_t number) const {
    const auto stride = static_cast<uint64_t>(tile.stride_bytes);
    Bytes content((tile.rows - 1) * stride + tile.row_bytes);
    Digest found;
    CAIRN_CHECK(copy_down({}, content, tile.data));
    CAIRN_CHECK(copy_down({}, found.bytes, digests_.data() + sizeof found * number));
    CAIRN_CHECK(synchronize({}));
    const Digest expected =
        blake3_rows(content.data(), tile.row_bytes, tile.stride_bytes, tile.rows);
    if (found == expected) return {};
    return fail(Code::kFailed, fmt::format("the digest of tile {} is {}, the host's is {}", number,
                                           found.hex(), expected.hex()));
  }

  std::vector<Part> parts_;
  DeviceMemory workspace_, digests_;
  Share share_;
};

Tiles chunks(uint8_t* data, uint64_t bytes, uint64_t chunk_bytes) {
  Tiles tiles;
  for (uint64_t at = 0; at + chunk_bytes <= bytes; at += chunk_bytes) {
    tiles.push_back({data + at, chunk_bytes});
  }
  return tiles;
}

/// Of 1 MiB where the matrix has rows enough.
Tiles columns(uint8_t* data, uint64_t bytes, uint64_t tile_bytes) {
  static constexpr uint64_t kElement = 2, kRowBytes = 512 * kElement, kStride = 8192 * kElement;
  const uint64_t rows_of_tile = std::min(tile_bytes / kRowBytes, bytes / kStride);
  Tiles tiles;
  for (uint64_t row = 0; (row + rows_of_tile) * kStride <= bytes; row += rows_of_tile) {
    for (uint64_t column = 0; column < kStride; column += kRowBytes) {
      tiles.push_back({data + row * kStride + column, kRowBytes, kStride, rows_of_tile});
    }
  }
  return tiles;
}

}  // namespace

Prepared digest_chunks(const BenchData& data, uint64_t chunk_bytes, Share share) {
  return DigestTiles::prepare(data, share, chunks, chunk_bytes);
}

Prepared digest_columns(const BenchData& data) {
  return DigestTiles::prepare(data, {}, columns, kMiB);
}

}  // namespace cairn::gpu
