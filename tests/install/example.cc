// A program of someone else's: saves a tensor and loads it back in two halves.
#include <cstdio>
#include <numeric>
#include <vector>

#include "lib/cairn.hpp"

static int fail(const char* what, const cairn::Error& error) {
  std::fprintf(stderr, "%s: %s\n", what, error.message.c_str());
  return 1;
}

int main(int, char** words) {
  const std::string path = words[1];
  if (const auto made = cairn::Store::init(cairn::posix_fs(), path, {}); !made) {
    return fail("init", made.error());
  }
  const auto store = cairn::Store::open(cairn::posix_fs(), path);
  if (!store) return fail("open", store.error());
  const cairn::Shape shape = {64, 1000};
  std::vector<float> weights(64 * 1000);
  std::iota(weights.begin(), weights.end(), 1.0F);

  cairn::SaveRequest request;
  request.tag = "run/1";
  request.tensors.push_back({.name = "w",
                             .dtype = cairn::Dtype::kF32,
                             .shape = shape,
                             .box = cairn::whole_box(shape),
                             .data = weights.data()});
  const auto saved = cairn::save(**store, request);
  if (!saved) return fail("save", saved.error());

  const auto checkpoint = cairn::open_tag(**store, "run/1");
  if (!checkpoint) return fail("open_tag", checkpoint.error());
  std::vector<float> loaded(weights.size());
  cairn::LoadRequest wanted;
  for (const uint64_t first : {0, 32}) {
    wanted.targets.push_back({.name = "w",
                              .dtype = cairn::Dtype::kF32,
                              .shape = shape,
                              .box = {{first, 0}, {32, 1000}},
                              .data = loaded.data() + first * 1000});
  }
  const auto done = cairn::load(**checkpoint, wanted);
  if (!done) return fail("load", done.error());
  std::printf("%s %s\n", std::string(cairn::version()).c_str(),
              loaded == weights ? "same" : "different");
  return loaded == weights ? 0 : 1;
}
