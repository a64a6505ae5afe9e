// Checks what a call is given and hands it to the kernels of its prediction.
#include "gpu/enqueue.h"
#include "gpu/transform_launch.h"

namespace cairn::gpu {

class TransformEnqueuer {
 public:
  TransformEnqueuer(Stream stream, const TransformPlan& plan, DeviceSpan image, Share share)
      : plan_(plan), image_(image) {
    call_.stream = stream;
    call_.shape = shape_of_blocks(plan.tiles_, kTileThreads, share);
    call_.coding = plan.transform_.coding;
    call_.work = {
        reinterpret_cast<const ChunkRecord*>(image.data),
        reinterpret_cast<const uint64_t*>(image.data + plan.first_tiles_at_),
        reinterpret_cast<const ProgramRecord*>(image.data + plan.programs_at_),
        nullptr,
        plan.chunks(),
        plan.tiles_,
        combination(),
        plan.transform_.cast == Cast::kF32ToBf16 || plan.transform_.cast == Cast::kBf16ToF32};
    call_.work.guessers = call_.work.programs + plan.transform_.programs.size();
  }

  /// Encodes or decodes.
  Status code(TransformAction action, const CodedSpans& spans) {
    CAIRN_CHECK(check_room("the coded bytes of a transform", spans.coded, plan_.coded_bytes()));
    if (plan_.transform_.coding != Coding::kPlanes) {
      CAIRN_CHECK(check_room("the runs of a transform", spans.runs, plan_.runs_bytes()));
      CAIRN_CHECK(check_room("the slab of a transform", spans.slab, 0));
      CAIRN_CHECK(check_room("the state of a transform", spans.state, sizeof(TransformState)));
    }
    call_.coded = {
        spans.coded.data, reinterpret_cast<EscapedRun*>(spans.runs.data),      spans.slab.data,
        spans.slab.bytes, reinterpret_cast<TransformState*>(spans.state.data), nullptr};
    return start(action);
  }

  Status count(DeviceSpan counts) {
    CAIRN_CHECK(check_room("the counts of a transform", counts, plan_.counts_bytes()));
    CAIRN_CHECK(check_image());
    if (plan_.chunks() == 0) return {};
    CAIRN_CHECK(fill_zeros(call_.stream, counts.data, plan_.counts_bytes()));
    call_.coded.counts = reinterpret_cast<ChunkCounts*>(counts.data);
    return start(TransformAction::kCount);
  }

  Status find_gradients() {
    CAIRN_CHECK(check_image());
    if (!plan_.has_gradients_) return {};
    return launch_find_gradients(call_, item_bytes());
  }

 private:
  unsigned item_bytes() const { return plan_.transform_.form.bytes; }

  Combination combination() const {
    const Prediction prediction = plan_.transform_.prediction;
    if (prediction == Prediction::kItself) return Combination::kItself;
    if (prediction == Prediction::kXor) return Combination::kXor;
    return plan_.transform_.form.is_float ? Combination::kFloats : Combination::kIntegers;
  }

  Status check_image() const {
    return check_room("the image of a transform plan", image_, plan_.image().size());
  }

  Status start(TransformAction action) {
    CAIRN_CHECK(check_image());
    if (plan_.tiles_ == 0) return {};
    call_.action = action;
    const Prediction prediction = plan_.transform_.prediction;
    if (prediction == Prediction::kReplay) return launch_replay(call_, item_bytes());
    if (prediction == Prediction::kDerived) return launch_derived(call_, item_bytes());
    return launch_plain(call_, item_bytes());
  }

  const TransformPlan& plan_;
  const DeviceSpan image_;
  TransformCall call_;
};

Status encode(Stream stream, const TransformPlan& plan, DeviceSpan image, const CodedSpans& coded,
              Share share) {
  return TransformEnqueuer(stream, plan, image, share).code(TransformAction::kEncode, coded);
}

Status decode(Stream stream, const TransformPlan& plan, DeviceSpan image, const CodedSpans& coded,
              Share share) {
  return TransformEnqueuer(stream, plan, image, share).code(TransformAction::kDecode, coded);
}

Status count_residuals(Stream stream, const TransformPlan& plan, DeviceSpan image,
                       DeviceSpan counts, Share share) {
  return TransformEnqueuer(stream, plan, image, share).count(counts);
}

Status find_gradients(Stream stream, const TransformPlan& plan, DeviceSpan image, Share share) {
  return TransformEnqueuer(stream, plan, image, share).find_gradients();
}

}  // namespace cairn::gpu
