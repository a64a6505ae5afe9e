#include "lib/device/coded_landing.h"

#include <algorithm>

namespace cairn {

uint64_t coded_bytes_most(const StagingOptions& options) { return options.slab_bytes / 4; }

static uint64_t gradient_bytes(const gpu::TransformChunk& chunk) {
  return round_up(2 * chunk.count, 16);
}

std::vector<const Content*> CodedLanding::contents() const {
  std::vector<const Content*> contents;
  for (const CodedUnits& chunk : chunks_) {
    for (const StagedPiece& piece : chunk.pieces) contents.push_back(&piece.content);
  }
  return contents;
}

Result<CodedLanding> CodedLanding::begin(Lane& lane, unsigned turn,
                                         const std::vector<CodedUnits>& chunks, MutableBytes host) {
  CodedLanding landing;
  landing.lane_ = &lane;
  landing.turn_ = turn;
  landing.chunks_ = chunks;
  landing.host_ = host;
  Arena& arena = lane.slab(turn);
  CAIRN_CHECK(gpu::wait_for(lane.work(), lane.copied(turn)));
  arena.clear();
  std::vector<const Content*> befores;
  for (const CodedUnits& chunk : landing.chunks_) {
    for (const StagedPiece& piece : chunk.pieces) befores.push_back(&*piece.before);
  }
  CAIRN_TRY(landing.now_, gather_contents(lane, arena, landing.contents()));
  CAIRN_TRY(landing.before_, gather_contents(lane, arena, befores));
  Place place;
  for (place.chunk = 0; place.chunk < landing.chunks_.size(); ++place.chunk) {
    const size_t units = landing.chunks_[place.chunk].pieces.size();
    for (place.unit = 0; place.unit < units; ++place.unit, ++place.content) {
      CAIRN_CHECK(landing.add(place, arena));
    }
  }
  for (Group& group : landing.groups_) CAIRN_CHECK(landing.encode(group, arena));
  CAIRN_CHECK(landing.look(arena));
  return landing;
}

static gpu::Transform transform_of(const TransferRecipe& recipe) {
  gpu::Transform transform;
  transform.form = recipe.form;
  switch (recipe.way) {
    case Way::kDelta:
      transform.prediction = gpu::Prediction::kXor;
      transform.coding = gpu::Coding::kSparse;
      break;
    case Way::kDerived:
      transform.prediction = gpu::Prediction::kDerived;
      transform.coding = gpu::Coding::kSparse;
      transform.cast = recipe.cast;
      break;
    case Way::kReplay:
      transform.prediction = gpu::Prediction::kReplay;
      transform.coding = gpu::Coding::kQuads;
      break;
    case Way::kZstd:
    case Way::kPlanes:
      break;
  }
  return transform;
}

CodedLanding::Group& CodedLanding::group_of(const TransferRecipe& recipe) {
  const gpu::Transform wanted = transform_of(recipe);
  for (Group& group : groups_) {
    const gpu::Transform& known = group.transform;
    if (known.prediction == wanted.prediction && known.coding == wanted.coding &&
        known.form == wanted.form && known.cast == wanted.cast) {
      return group;
    }
  }
  groups_.emplace_back().transform = wanted;
  return groups_.back();
}

/// The number of the rule's program in the transform.
static uint32_t program_of(gpu::Transform& transform, const ReplayParameters& parameters) {
  auto& programs = transform.programs;
  const auto known = std::find(programs.begin(), programs.end(), parameters);
  const auto number = static_cast<uint32_t>(known - programs.begin());
  if (known == programs.end()) programs.push_back(parameters);
  return number;
}

Status CodedLanding::add(const Place& place, Arena& arena) {
  const TransferRecipe& recipe = chunks_[place.chunk].recipes[place.unit];
  if (recipe.way == Way::kPlanes) {
    whole_.push_back(place);
    return {};
  }
  Group& group = group_of(recipe);
  gpu::TransformChunk& chunk = group.items.emplace_back();
  chunk.items = now_.tiles[place.content].data;
  chunk.count = now_.tiles[place.content].row_bytes / recipe.form.bytes;
  for (size_t i = 0; i < recipe.sources.size(); ++i) {
    const size_t content = place.content - place.unit + recipe.sources[i].member;
    chunk.bases[i] = (recipe.sources[i].before ? before_ : now_).tiles[content].data;
  }
  if (recipe.way == Way::kReplay) {
    chunk.program = program_of(group.transform, recipe.parameters);
    if (has_gradient(recipe.parameters)) {
      CAIRN_TRY(const gpu::DeviceSpan room, take_room(arena, gradient_bytes(chunk)));
      chunk.gradient = room.data;
    }
  }
  group.places.push_back(place);
  return {};
}

Status CodedLanding::encode(Group& group, Arena& arena) {
  CAIRN_TRY(group.plan, gpu::TransformPlan::make(group.transform, group.items));
  const gpu::TransformPlan& plan = *group.plan;
  CAIRN_TRY(const gpu::DeviceSpan image, take_room(arena, plan.image().size()));
  CAIRN_TRY(group.spans.coded, take_room(arena, plan.coded_bytes()));
  CAIRN_TRY(group.spans.runs, take_room(arena, plan.runs_bytes()));
  // More than the items themselves are not sent: small chunks would have a tile's room each.
  const uint64_t items = round_up(plan.items() * group.transform.form.bytes, 16);
  CAIRN_TRY(group.spans.slab, take_room(arena, std::min(plan.slab_bytes_most(), items)));
  CAIRN_TRY(group.spans.state, take_room(arena, sizeof(gpu::TransformState)));
  CAIRN_CHECK(gpu::copy_up(lane_->work(), image.data, plan.image()));
  CAIRN_CHECK(gpu::fill_zeros(lane_->work(), group.spans.state.data, group.spans.state.bytes));
  const bool is_replay = group.transform.prediction == gpu::Prediction::kReplay;
  if (is_replay) CAIRN_CHECK(gpu::find_gradients(lane_->work(), plan, image, lane_->share()));
  return gpu::encode(lane_->work(), plan, image, group.spans, lane_->share());
}

/// Enqueues what the host must know before it chooses: digests, and how large the corrections are.
Status CodedLanding::look(Arena& arena) {
  std::vector<gpu::Tile> tiles = now_.tiles;
  tiles.insert(tiles.end(), before_.tiles.begin(), before_.tiles.end());
  CAIRN_TRY(digests_, enqueue_digests(*lane_, lane_->work(), arena, tiles));
  constexpr uint64_t kStateBytes = sizeof(gpu::TransformState);
  told_ = host_.last(digests_.bytes + kStateBytes * groups_.size());
  CAIRN_CHECK(lane_->bring(lane_->work(), told_.first(digests_.bytes), digests_.data));
  for (size_t i = 0; i < groups_.size(); ++i) {
    CAIRN_CHECK(lane_->bring(lane_->work(),
                             told_.subspan(digests_.bytes + kStateBytes * i, kStateBytes),
                             groups_[i].spans.state.data));
  }
  CAIRN_TRY(seen_, gpu::Event::make());
  return seen_.record(lane_->work());
}

/// Whether what was before is what the base tag has.
bool CodedLanding::are_bases() const {
  const size_t contents = now_.tiles.size();
  size_t content = 0;
  for (const CodedUnits& chunk : chunks_) {
    for (const StagedPiece& piece : chunk.pieces) {
      const auto digest = load_le<Digest>(told_, sizeof(Digest) * (contents + content++));
      if (digest != piece.before_digest) return false;
    }
  }
  return true;
}

uint64_t CodedLanding::values_bytes(size_t group) const {
  const size_t at = digests_.bytes + sizeof(gpu::TransformState) * group;
  return load_le<gpu::TransformState>(told_, at).slab_bytes;
}

/// Whether all values were written.
bool CodedLanding::have_room() const {
  for (size_t i = 0; i < groups_.size(); ++i) {
    if (values_bytes(i) > groups_[i].spans.slab.bytes) return false;
  }
  return true;
}

uint64_t CodedLanding::coded_bytes() const {
  uint64_t bytes = 0;
  for (size_t i = 0; i < groups_.size(); ++i) {
    const Group& group = groups_[i];
    bytes += group.spans.coded.bytes + group.spans.runs.bytes + values_bytes(i);
    for (const gpu::TransformChunk& chunk : group.items) {
      if (chunk.gradient != nullptr) bytes += gradient_bytes(chunk);
    }
  }
  for (const Place& place : whole_) bytes += landed_bytes(now_.tiles[place.content].row_bytes);
  return bytes;
}

Result<LandedCodes> CodedLanding::finish() {
  CAIRN_CHECK(seen_.wait());
  // Making items of corrections costs the host a look at the base: it must be worth a quarter.
  const bool is_less = have_room() && coded_bytes() <= now_.memory.bytes / 4 * 3;
  if (is_less && are_bases()) return send_codes();
  LandedCodes landed;
  const auto all = contents();
  CAIRN_TRY(landed.contents, Landing::send(*lane_, turn_, now_, all,
                                           {digests_.data, sizeof(Digest) * all.size()}, host_));
  return landed;
}

Result<LandedCodes> CodedLanding::send_codes() {
  LandedCodes landed;
  for (const CodedUnits& chunk : chunks_) landed.sent.emplace_back(chunk.pieces.size());
  MutableBytes host = host_;
  const auto bring = [&](const uint8_t* from, uint64_t bytes) -> Result<ByteSpan> {
    const MutableBytes to = host.first(bytes);
    host = host.subspan(round_up(bytes, 16));
    CAIRN_CHECK(lane_->bring(lane_->copies(), to, from));
    return ByteSpan(to);
  };
  for (const Place& place : whole_) {
    const gpu::Tile& tile = now_.tiles[place.content];
    CAIRN_TRY(landed.sent[place.chunk][place.unit].whole, bring(tile.data, tile.row_bytes));
  }
  for (size_t g = 0; g < groups_.size(); ++g) {
    const Group& group = groups_[g];
    const gpu::TransformPlan& plan = *group.plan;
    CAIRN_TRY(const ByteSpan codes, bring(group.spans.coded.data, group.spans.coded.bytes));
    CAIRN_TRY(const ByteSpan runs, bring(group.spans.runs.data, group.spans.runs.bytes));
    CAIRN_TRY(const ByteSpan values, bring(group.spans.slab.data, values_bytes(g)));
    const unsigned bits = group.transform.coding == gpu::Coding::kQuads ? 2 : 1;
    for (size_t i = 0; i < group.places.size(); ++i) {
      SentUnit& sent = landed.sent[group.places[i].chunk][group.places[i].unit];
      sent.codes = {bits,
                    codes.subspan(plan.coded_offset(i)),
                    runs.subspan(sizeof(gpu::EscapedRun) * plan.first_tile(i)),
                    values,
                    plan.tile_items(),
                    group.transform.form.bytes};
      const gpu::TransformChunk& chunk = group.items[i];
      if (chunk.gradient == nullptr) continue;
      CAIRN_TRY(sent.gradient, bring(chunk.gradient, 2 * chunk.count));
    }
  }
  CAIRN_TRY(landed.landed, gpu::Event::make());
  CAIRN_CHECK(landed.landed.record(lane_->copies()));
  CAIRN_CHECK(lane_->copied(turn_).record(lane_->copies()));
  return landed;
}

}  // namespace cairn
