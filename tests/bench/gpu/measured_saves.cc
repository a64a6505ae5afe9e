#include "tests/bench/gpu/measured_saves.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/clock.h"
#include "base/pipeline.h"

namespace cairn {

static constexpr uint64_t kComparedBytes = kMiB;  // by a thread at a time

Result<std::unique_ptr<MeasuredSaves>> MeasuredSaves::make(const PathOptions& options,
                                                           const DeviceState& state) {
  std::unique_ptr<MeasuredSaves> saves(new MeasuredSaves(options, state));
  Config config;
  config.chunk_elements = options.chunk_elements;
  CAIRN_CHECK(Store::init(posix_fs(), saves->folder_ / "store", config));
  CAIRN_TRY(saves->store_, Store::open(posix_fs(), saves->folder_ / "store"));
  CAIRN_TRY(saves->staging_, open_staging(staging_options(options)));
  CAIRN_TRY(saves->loaded_, gpu::DeviceMemory::allocate(state.bytes()));
  CAIRN_TRY(saves->copies_, PlainCopies::make(options.slab_bytes));
  return saves;
}

Result<MeasuredSave> MeasuredSaves::save(const std::string& tag, const std::string& base,
                                         const uint8_t* resident) {
  MeasuredSave measured;
  SaveRequest request;
  request.tag = tag;
  request.base = base;
  request.tensors = state_.sources();
  if (resident != nullptr) request.base_memory = state_.sources_of(resident);
  request.devices.staging = staging_.get();
  const Stopwatch watch;
  request.fence = [&] { measured.fence_s = watch.seconds(); };
  CAIRN_TRY(const SaveResult saved, cairn::save(*store_, request));
  measured.return_s = watch.seconds();
  measured.brought_bytes = saved.brought_bytes;
  if (!saved.notes.empty()) return fail(Code::kFailed, saved.notes.front());
  CAIRN_TRY(measured.load_s, load_and_compare(tag));
  return measured;
}

Result<double> MeasuredSaves::load_and_compare(const std::string& tag) {
  CAIRN_CHECK(gpu::fill_zeros({}, loaded_.data(), loaded_.size()));
  CAIRN_CHECK(gpu::synchronize({}));
  LoadRequest request;
  request.targets = state_.targets_of(loaded_.data());
  request.devices.staging = staging_.get();
  const Stopwatch watch;
  CAIRN_TRY(const auto checkpoint, open_tag(*store_, tag));
  CAIRN_TRY(const LoadResult loaded, load(*checkpoint, request));
  const double seconds = watch.seconds();
  if (!loaded.notes.empty()) return fail(Code::kFailed, loaded.notes.front());
  const Status compared = compare();
  if (compared) return seconds;
  return tl::unexpected(with_context(compared.error(), tag));
}

Status MeasuredSaves::compare() {
  const uint64_t slab = copies_.slab(0).size();
  for (uint64_t at = 0; at < state_.bytes(); at += slab) {
    const uint64_t bytes = std::min(slab, state_.bytes() - at);
    const MutableBytes wanted = copies_.slab(0).first(bytes), found = copies_.slab(1).first(bytes);
    CAIRN_CHECK(gpu::copy_down({}, wanted, state_.memory().data() + at));
    CAIRN_CHECK(gpu::copy_down({}, found, loaded_.data() + at));
    CAIRN_CHECK(gpu::synchronize({}));
    CAIRN_CHECK(parallel_for(ceil_div(bytes, kComparedBytes), 0, [&](uint64_t i) -> Status {
      const uint64_t begin = i * kComparedBytes, count = std::min(kComparedBytes, bytes - begin);
      if (std::memcmp(&wanted[begin], &found[begin], count) == 0) return {};
      return fail(Code::kFailed,
                  fmt::format("what was loaded differs in the MiB at {}", at + begin));
    }));
  }
  return {};
}

}  // namespace cairn
