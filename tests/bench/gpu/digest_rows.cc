#include <fmt/format.h>

#include "base/digest.h"
#include "tests/bench/gpu/rows.h"
#include "tests/bench/gpu/tiled.h"

namespace cairn::gpu {

namespace {

/// The digests of the tiles of each buffer.
class DigestTiles final : public Operation {
 public:
  static Prepared prepare(std::vector<Tiled> parts, Share share) {
    auto made = std::make_unique<DigestTiles>();
    const DigestPlan& plan = parts.front().plan;
    CAIRN_TRY(made->workspace_, DeviceMemory::allocate(plan.workspace_bytes()));
    CAIRN_TRY(made->digests_, DeviceMemory::allocate(sizeof(Digest) * plan.tiles()));
    made->parts_ = std::move(parts);
    made->share_ = share;
    return made;
  }

  Status enqueue(Stream stream, size_t turn) override {
    const Tiled& part = parts_[turn % parts_.size()];
    return digest(stream, part.plan, part.image.span(), workspace_.span(), digests_.span(), share_);
  }

  Status check(size_t turn) override {
    const auto& tiles = parts_[turn % parts_.size()].tiles;
    for (const uint64_t i : sample_of(tiles.size(), 16)) CAIRN_CHECK(check_tile(tiles[i], i));
    return {};
  }

  uint64_t counted_bytes() const override { return parts_.front().plan.bytes(); }

 private:
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

  std::vector<Tiled> parts_;
  DeviceMemory workspace_, digests_;
  Share share_;
};

}  // namespace

Prepared digest_chunks(const BenchData& data, uint64_t chunk_bytes, Share share) {
  CAIRN_TRY(auto parts, tiled(data, chunk_tiles, chunk_bytes));
  return DigestTiles::prepare(std::move(parts), share);
}

Prepared digest_columns(const BenchData& data) {
  CAIRN_TRY(auto parts, tiled(data, column_tiles, kMiB));
  return DigestTiles::prepare(std::move(parts), {});
}

}  // namespace cairn::gpu
