#include <fmt/format.h>

#include <algorithm>

#include "base/chunker.h"
#include "base/digest.h"
#include "gpu/chunker_plan.h"
#include "tests/bench/gpu/rows.h"
#include "tests/bench/gpu/tiled.h"

namespace cairn::gpu {

namespace {

constexpr uint64_t kContentBytes = 64 * kMiB;  ///< of a tensor

/// The cuts of tensors that fill each buffer, and the digests of the chunks, if wanted.
class CutTensors final : public Operation {
 public:
  static Prepared prepare(const BenchData& data, bool with_digests) {
    auto made = std::make_unique<CutTensors>();
    for (const DeviceMemory& buffer : data.buffers) {
      Part part;
      for (uint64_t at = 0; at < data.buffer_bytes; at += kContentBytes) {
        part.contents.push_back(
            {buffer.data() + at, std::min(kContentBytes, data.buffer_bytes - at)});
      }
      CAIRN_TRY(part.plan, ChunkPlan::make(part.contents, made->rule_));
      CAIRN_TRY(part.image, DeviceMemory::allocate(part.plan.image().size()));
      CAIRN_CHECK(copy_up({}, part.image.data(), part.plan.image()));
      made->parts_.push_back(std::move(part));
    }
    const ChunkPlan& plan = made->parts_.front().plan;
    CAIRN_TRY(made->workspace_, DeviceMemory::allocate(std::max(plan.workspace_bytes(),
                                                                plan.chunks().workspace_bytes())));
    CAIRN_TRY(made->chunks_, DeviceMemory::allocate(plan.chunks_bytes()));
    if (with_digests) {
      CAIRN_TRY(made->digests_, DeviceMemory::allocate(sizeof(Digest) * plan.chunks().tiles()));
    }
    made->bytes_ = data.buffer_bytes;
    return made;
  }

  Status enqueue(Stream stream, size_t turn) override {
    const Part& part = of_turn(turn);
    CAIRN_CHECK(cut(stream, part.plan, part.image.span(), workspace_.span(), chunks_.span()));
    if (digests_.size() == 0) return {};
    return digest(stream, part.plan.chunks(), chunks_.span(), workspace_.span(), digests_.span());
  }

  Status check(size_t turn) override {
    const Part& part = of_turn(turn);
    Bytes head(part.plan.chunks().layout().leaves_at());
    CAIRN_CHECK(copy_down({}, head, chunks_.data()));
    CAIRN_CHECK(synchronize({}));
    CAIRN_TRY(const auto cuts, read_cuts(head, part.contents));
    if (!cuts) return fail(Code::kFailed, "more candidates than random content has");
    uint64_t chunks_before = 0;
    for (size_t i = 0; i < part.contents.size(); ++i) {
      const bool is_checked = i == 0 || i + 1 == part.contents.size();
      if (is_checked) CAIRN_CHECK(check_content(part.contents[i], (*cuts)[i], chunks_before));
      chunks_before += (*cuts)[i].size();
    }
    return {};
  }

  uint64_t counted_bytes() const override { return bytes_; }

 private:
  struct Part {
    std::vector<DeviceSpan> contents;
    ChunkPlan plan;
    DeviceMemory image;
  };

  const Part& of_turn(size_t turn) const { return parts_[turn % parts_.size()]; }

  Status check_content(DeviceSpan where, const std::vector<uint64_t>& cuts,
                       uint64_t chunks_before) const {
    Bytes content(where.bytes);
    CAIRN_CHECK(copy_down({}, content, where.data));
    CAIRN_CHECK(synchronize({}));
    if (cuts != cut_content(content, rule_)) return fail(Code::kFailed, "cuts differ");
    if (digests_.size() == 0) return {};
    for (const uint64_t i : sample_of(cuts.size(), 16)) {
      const uint64_t begin = i == 0 ? 0 : cuts[i - 1];
      Digest found;
      CAIRN_CHECK(copy_down({}, found.bytes, digests_.data() + sizeof found * (chunks_before + i)));
      CAIRN_CHECK(synchronize({}));
      if (found != blake3(ByteSpan(content).subspan(begin, cuts[i] - begin))) {
        return fail(Code::kFailed, fmt::format("the digest of chunk {} differs", i));
      }
    }
    return {};
  }

  const ChunkRule rule_ = ChunkRule::of_average(64 * kKiB);
  std::vector<Part> parts_;
  DeviceMemory workspace_, chunks_, digests_;
  uint64_t bytes_ = 0;
};

}  // namespace

Prepared cut_tensors(const BenchData& data) { return CutTensors::prepare(data, false); }
Prepared cut_and_digest(const BenchData& data) { return CutTensors::prepare(data, true); }

}  // namespace cairn::gpu
