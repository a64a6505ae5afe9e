// A share of so many multiprocessors is at most so many blocks, whatever the call.
#include "gpu/gpu.h"
#include "tests/gpu/kernel_fixture.h"

namespace cairn::gpu {
namespace {

constexpr unsigned kShare = 2;

void expect_shared(const Status& status, const char* what) {
  must(status);
  EXPECT_LE(simt::largest_grid(), kShare) << what;
}

TEST(Shares, AreKeptByEveryCall) {
  const OnDevice memory(random_content(1 << 20, 1));
  const std::vector<Tile> tiles(3000, Tile{memory.data(), 1024, 2048, 3});
  const DigestPlan plan = must(DigestPlan::make(tiles));
  const OnDevice image(plan.image()), workspace(plan.workspace_bytes());
  const OnDevice digests(32 * tiles.size()), set(dirty_set_bytes(tiles.size()));
  const OnDevice slab(plan.slab_bytes_most());
  const Share share{kShare};
  simt::largest_grid();
  expect_shared(digest({}, plan, image.span(), workspace.span(), digests.span(), share), "digest");
  expect_shared(find_dirty({}, plan, image.span(), digests.span(), {}, set.span(), share), "dirty");
  expect_shared(gather({}, plan, image.span(), set.span(), 0, slab.span(), share), "gather");

  const ScatterPlan back =
      must(ScatterPlan::make(std::vector{ScatterPiece{0, {memory.data(), 1 << 20}}}));
  const OnDevice pieces(back.image());
  expect_shared(scatter({}, back, pieces.span(), slab.span(), share), "scatter");

  const std::vector<DeviceSpan> contents = {memory.span()};
  const ChunkPlan chunks = must(ChunkPlan::make(contents, ChunkRule::of_average(256)));
  const OnDevice buffers(chunks.image()), space(chunks.workspace_bytes());
  const OnDevice cuts(chunks.chunks_bytes());
  expect_shared(cut({}, chunks, buffers.span(), space.span(), cuts.span(), share), "cut");

  const TransformChunk chunk{memory.data(), 1 << 18};
  const TransformPlan transform = must(
      TransformPlan::make({Prediction::kItself, Coding::kPlanes, {4, true}}, std::span(&chunk, 1)));
  const OnDevice work(transform.image()), coded(transform.coded_bytes());
  const OnDevice counts(transform.counts_bytes());
  const CodedSpans spans{coded.span(), {}, {}, {}};
  expect_shared(encode({}, transform, work.span(), spans, share), "encode");
  expect_shared(decode({}, transform, work.span(), spans, share), "decode");
  expect_shared(count_residuals({}, transform, work.span(), counts.span(), share), "count");
}

}  // namespace
}  // namespace cairn::gpu
