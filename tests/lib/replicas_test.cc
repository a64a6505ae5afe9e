// Replicas of several parts that differ: told, or refused where copies are made from them.
#include "lib/replicas.h"

#include "tests/lib/parts_fixture.h"

namespace cairn {
namespace {

TEST_F(TrainedParts, AReplicaThatDiffersIsTold) {
  trainer_.step();
  State other = trainer_.state();
  other["e.master"].bytes[5] ^= 1;
  other["c.first"].bytes[0] ^= 1;
  RankRequests all = {cut_state("t", trainer_.state(), {1, 1})[0],
                      cut_state("t", other, {1, 1})[0]};
  for (TensorSource& source : all[1].tensors) source.writer = 1;
  all[0].attachments = {{"seed", as_bytes("1")}, {"same", as_bytes("s")}};
  all[1].attachments = {{"seed", as_bytes("22")}, {"same", as_bytes("s")}};
  const auto saved = save_together(all);
  ASSERT_TRUE(succeeds(saved));
  EXPECT_EQ(saved->warnings,
            (std::vector<std::string>{
                "the tensor 'c.first' of rank 1 differs from that of rank 0, which was saved",
                "the tensor 'e.master' of rank 1 differs from that of rank 0, which was saved",
                "the attachment 'seed' of part 1 differs from that of part 0, which was saved"}));
  states_["t"] = trainer_.state();
  expect_sound();
}

/// Only rank 1 has the weight, which is made from its own master; the tag has rank 0's.
TEST_F(TrainedParts, ACopyMadeFromAReplicaThatDiffersIsRefused) {
  trainer_.step();
  save_step("run/0", {1, 1});
  trainer_.step();
  State other = trainer_.state();
  other["e.master"].bytes[5] ^= 1;
  RankRequests all = {requests("run/1", {1, 1})[0], cut_state("run/1", other, {1, 1})[0]};
  for (TensorSource& source : all[1].tensors) source.writer = 1;
  all[1].base.reset();
  std::erase_if(all[0].tensors,
                [](const TensorSource& source) { return source.name == "e.weight"; });
  SavedParts parts = store_parts(all);
  refuses(Code::kUsage,
          "'e.weight' of rank 1 is made from its 'e.master', of which rank 0 has other bytes",
          uniting(all[0], parts));
  keep_all(parts);
  other["e.master"] = trainer_.state()["e.master"];
  for (SaveRequest& request : all) request.tag = "run/2";
  ASSERT_TRUE(succeeds(save_together(all)));
  states_["run/2"] = trainer_.state();
  collect_all();
  expect_sound();
}

}  // namespace
}  // namespace cairn
