#include "gpu/digest_plan.h"
#include "tests/gpu/bad_kernel.h"
#include "tests/gpu/kernel_fixture.h"

namespace cairn::gpu {
namespace {

/// An error after which the device takes no more work is told as that, by whatever call comes next,
/// and ends neither the process nor anything of the host's.
TEST(BrokenDevice, IsReportedWithWhatToDo) {
  const OnDevice memory(Bytes(4096));
  const DigestPlan plan = must(DigestPlan::make(std::vector{Tile{memory.data(), 4096}}));
  const OnDevice image(plan.image()), workspace(plan.workspace_bytes()), out(32);
  must(enqueue_bad_kernel());
  const Status waited = synchronize({});
  ASSERT_FALSE(waited);
  EXPECT_NE(waited.error().hint.find("takes no more work"), std::string::npos)
      << waited.error().message << ": " << waited.error().hint;
  const Status later = digest({}, plan, image.span(), workspace.span(), out.span());
  ASSERT_FALSE(later);
  EXPECT_NE(later.error().hint.find("takes no more work"), std::string::npos)
      << later.error().message << ": " << later.error().hint;
}

}  // namespace
}  // namespace cairn::gpu
