#include "gpu/element_math.h"
#include "gpu/enqueue.h"
#include "gpu/kernel.h"
#include "gpu/scatter_plan.h"
#include "gpu/search.h"
#include "gpu/tile_read.h"

namespace cairn::gpu {

namespace {

struct Pieces {
  const ScatterPiece* pieces;
  const uint64_t* first_units;
  uint64_t count;
};

/// The bits of an element at an address that is a multiple of its size.
CAIRN_DEVICE uint64_t load_element(const uint8_t* at, unsigned bytes) {
  if (bytes == 2) return *reinterpret_cast<const uint16_t*>(at);
  if (bytes == 4) return *reinterpret_cast<const unsigned*>(at);
  if (bytes == 8) return *reinterpret_cast<const uint64_t*>(at);
  return *at;
}

/// The elements of one vector of the tile, made of those in the slab; zeros behind the last.
CAIRN_DEVICE uint4 converted(const uint8_t* from, Element source, Element target,
                             unsigned elements) {
  const unsigned in = element_bytes(source), out = element_bytes(target);
  uint64_t halves[2] = {0, 0};
  const unsigned in_half = 8 / out;
  const uint64_t mask = ~uint64_t{0} >> (64 - 8 * out);
#pragma unroll
  for (unsigned half = 0; half < 2; ++half) {
    for (unsigned i = 0; i < in_half; ++i) {
      const unsigned number = half * in_half + i;
      if (number >= elements) break;
      const uint64_t bits = load_element(from + number * in, in);
      halves[half] |= (converted_element(bits, source, target) & mask) << (8 * out * i);
    }
  }
  return make_uint4(static_cast<unsigned>(halves[0]), static_cast<unsigned>(halves[0] >> 32),
                    static_cast<unsigned>(halves[1]), static_cast<unsigned>(halves[1] >> 32));
}

/// Sixteen bytes at any address, in the widest stores that it allows.
CAIRN_DEVICE void store16(uint8_t* to, const uint4& value) {
  const unsigned words[4] = {value.x, value.y, value.z, value.w};
  const auto address = reinterpret_cast<uintptr_t>(to);
  if (address % 16 == 0) {
    *reinterpret_cast<uint4*>(to) = value;
  } else if (address % 4 == 0) {
    for (unsigned i = 0; i < 4; ++i) reinterpret_cast<unsigned*>(to)[i] = words[i];
  } else if (address % 2 == 0) {
    for (unsigned i = 0; i < 8; ++i) {
      reinterpret_cast<uint16_t*>(to)[i] = static_cast<uint16_t>(words[i / 2] >> (16 * (i % 2)));
    }
  } else {
    for (unsigned i = 0; i < 16; ++i) {
      to[i] = static_cast<uint8_t>(words[i / 4] >> (8 * (i % 4)));
    }
  }
}

/// The first `bytes` of a vector, to the content of a tile from `offset` on.
CAIRN_DEVICE void put(const Tile& tile, uint64_t offset, const uint4& value, unsigned bytes) {
  uint64_t row = row_of(tile, offset);
  uint64_t column = offset - row * tile.row_bytes;
  uint8_t* to = tile.data + static_cast<int64_t>(row) * tile.stride_bytes + column;
  if (bytes == 16 && tile.row_bytes - column >= 16) {
    store16(to, value);
    return;
  }
  const unsigned words[4] = {value.x, value.y, value.z, value.w};
#pragma unroll
  for (unsigned i = 0; i < 16; ++i) {
    if (i >= bytes) break;
    *to++ = static_cast<uint8_t>(words[i / 4] >> (8 * (i % 4)));
    if (++column < tile.row_bytes) continue;
    column = 0;
    to += tile.stride_bytes - static_cast<int64_t>(tile.row_bytes);
  }
}

CAIRN_DEVICE uint4 vector_of(const ScatterPiece& piece, const uint8_t* slab, uint64_t offset,
                             unsigned bytes) {
  const uint8_t* from = slab + piece.slab_offset;
  if (piece.as == Element::kBytes) {
    if (bytes == 16) return *reinterpret_cast<const uint4*>(from + offset);
    TileCursor cursor({const_cast<uint8_t*>(from) + offset, bytes, 0, 1}, 0);
    return cursor.take(bytes);
  }
  const unsigned out = element_bytes(piece.as);
  return converted(from + offset / out * element_bytes(piece.from), piece.from, piece.as,
                   bytes / out);
}

/// The vectors of a piece from `first` to `end` by a warp, those that it can without a look at
/// each. Returns the first that is left to do.
CAIRN_DEVICE uint64_t copy_plain_vectors(const ScatterPiece& piece, const uint8_t* slab,
                                         uint64_t first, uint64_t end) {
  constexpr unsigned kInFlight = 4;  // that each lane loads before it stores the first
  if (piece.as != Element::kBytes || !has_plain_vectors(piece.to)) return first;
  const auto* from = reinterpret_cast<const uint4*>(slab + piece.slab_offset);
  for (; first + kInFlight * kWarp <= end; first += kInFlight * kWarp) {
    uint4 values[kInFlight];
    for (unsigned i = 0; i < kInFlight; ++i) values[i] = from[first + i * kWarp + lane_number()];
    for (unsigned i = 0; i < kInFlight; ++i) {
      const uint64_t offset = 16 * (first + i * kWarp + lane_number());
      *reinterpret_cast<uint4*>(plain_vector_at(piece.to, offset)) = values[i];
    }
  }
  return first;
}

__global__ void __launch_bounds__(1024)
    scatter_pieces(Pieces pieces, uint64_t units, const uint8_t* slab) {
  for (uint64_t unit = first_warp(); unit < units; unit += all_warps()) {
    const uint64_t number = find_range_together(pieces.first_units, pieces.count, unit);
    const ScatterPiece piece = pieces.pieces[number];
    const uint64_t bytes = piece.to.row_bytes * piece.to.rows;
    const uint64_t begin = (unit - pieces.first_units[number]) * kScatterVectors;
    const uint64_t end = begin + kScatterVectors, whole = bytes / 16;
    const uint64_t left = copy_plain_vectors(piece, slab, begin, end < whole ? end : whole);
    for (uint64_t vector = left + lane_number(); vector < end; vector += kWarp) {
      const uint64_t offset = 16 * vector;
      if (offset >= bytes) break;
      const unsigned here = bytes - offset < 16 ? static_cast<unsigned>(bytes - offset) : 16u;
      put(piece.to, offset, vector_of(piece, slab, offset, here), here);
    }
  }
}

}  // namespace

Status scatter(Stream stream, const ScatterPlan& plan, DeviceSpan image, DeviceSpan slab,
               Share share) {
  CAIRN_CHECK(check_room("the image of a scatter plan", image, plan.image_.size()));
  CAIRN_CHECK(check_room("the slab of a scatter", slab, plan.slab_bytes_));
  if (plan.units_ == 0) return {};
  const auto* pieces = reinterpret_cast<const ScatterPiece*>(image.data);
  return launch(
      stream, shape_for(plan.units_ * kWarp, share), "scatter_pieces", scatter_pieces,
      Pieces{pieces, reinterpret_cast<const uint64_t*>(pieces + plan.pieces_), plan.pieces_},
      plan.units_, slab.data);
}

}  // namespace cairn::gpu
