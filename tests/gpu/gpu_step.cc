// Which chunks of three tensors in device memory changed, and their bytes side by side: what a save
// on a GPU begins with. From the root of a build tree (nothing of gpu/ is installed yet):
//
//   g++ -std=c++20 -I. tests/gpu/gpu_step.cc build/gpu/libcairn_gpu_simt.a
//       build/base/libcairn_base.a -lfmt -o gpu_step         (one line; the host runs the kernels)
//
// and for a device with build/gpu/libcairn_gpu_cuda.a, -lcudart_static -ldl -lrt -lpthread.
#include <cstdio>
#include <numeric>
#include <utility>

#include "gpu/gpu.h"

namespace cairn::gpu {
namespace {

constexpr uint64_t kColumns = 1024, kRows = 512;  // of BF16, of which one tensor has half

/// A weight, a bias, and the left half of a matrix: a tile for each chunk.
std::vector<Tile> tiles_in(uint8_t* memory) {
  const uint64_t row = 2 * kColumns;
  return {{memory, 1 << 16},
          {memory + (1 << 16), 4096},
          {memory + (1 << 17), row / 2, static_cast<int64_t>(row), kRows}};
}

Status print_changes(Stream stream, const std::vector<Tile>& tiles, const DeviceMemory& set,
                     const DeviceMemory& slab) {
  Bytes marks(dirty_mark_bytes(tiles.size()));
  CAIRN_CHECK(copy_down(stream, marks, set.data()));
  CAIRN_CHECK(synchronize(stream));
  CAIRN_TRY(const auto dirty, read_dirty(marks, tiles));
  for (const DirtyChunk& chunk : dirty) {
    std::printf(" %llu at %llu", static_cast<unsigned long long>(chunk.chunk),
                static_cast<unsigned long long>(chunk.offset));
  }
  const auto bytes = load_le<DirtyHead>(marks).bytes;
  std::printf("; %llu of %llu bytes to send\n", static_cast<unsigned long long>(bytes),
              static_cast<unsigned long long>(slab.size()));
  return {};
}

Status run() {
  const Stream stream;  // the default one
  Bytes content(1 << 21);
  std::iota(content.begin(), content.end(), uint8_t{0});
  CAIRN_TRY(const DeviceMemory memory, DeviceMemory::allocate(content.size()));
  CAIRN_CHECK(copy_up(stream, memory.data(), content));

  const std::vector<Tile> tiles = tiles_in(memory.data());
  CAIRN_TRY(const DigestPlan plan, DigestPlan::make(tiles));
  CAIRN_TRY(const DeviceMemory image, DeviceMemory::allocate(plan.image().size()));
  CAIRN_CHECK(copy_up(stream, image.data(), plan.image()));
  CAIRN_TRY(const DeviceMemory workspace, DeviceMemory::allocate(plan.workspace_bytes()));
  CAIRN_TRY(DeviceMemory digests, DeviceMemory::allocate(32 * plan.tiles()));
  CAIRN_TRY(DeviceMemory previous, DeviceMemory::allocate(32 * plan.tiles()));
  CAIRN_TRY(const DeviceMemory set, DeviceMemory::allocate(dirty_set_bytes(plan.tiles())));
  CAIRN_TRY(const DeviceMemory slab, DeviceMemory::allocate(plan.slab_bytes_most()));

  for (unsigned step = 0; step < 3; ++step) {
    const DeviceSpan before = step == 0 ? DeviceSpan{} : previous.span();
    CAIRN_CHECK(digest(stream, plan, image.span(), workspace.span(), digests.span()));
    CAIRN_CHECK(find_dirty(stream, plan, image.span(), digests.span(), before, set.span()));
    CAIRN_CHECK(gather(stream, plan, image.span(), set.span(), 0, slab.span()));
    std::printf("step %u: changed", step);
    CAIRN_CHECK(print_changes(stream, tiles, set, slab));
    std::swap(digests, previous);
    // The training goes on: the bias, then one element of the matrix.
    const uint64_t place = step == 0 ? (1 << 16) + 6 : (1 << 17) + 5 * 2 * kColumns;
    const uint8_t changed = 0xFF;
    CAIRN_CHECK(copy_up(stream, memory.data() + place, ByteSpan(&changed, 1)));
  }
  return {};
}

}  // namespace
}  // namespace cairn::gpu

int main() {
  if (const auto facts = cairn::gpu::device_facts(); !facts) {
    std::printf("skipped: %s: %s\n", facts.error().message.c_str(), facts.error().hint.c_str());
    return 77;
  }
  if (const auto status = cairn::gpu::run(); !status) {
    std::fprintf(stderr, "%s\n", status.error().message.c_str());
    return 1;
  }
  return 0;
}
