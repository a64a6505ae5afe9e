// Processes of a save by several ranks are killed at any call of the file system, before or after a
// part's name is known. The store stays sound, a tag is there whole or not at all, and gc leaves
// nothing that is not needed.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/lib/parts_fixture.h"
#include "tests/support/fault_fs.h"

namespace cairn {
namespace {

class PartCrash : public TrainedParts {
 protected:
  void SetUp() override {
    TrainedParts::SetUp();
    trainer_.step();
    save_step("run/1", {2, 1});
    trainer_.step();
    requests_ = requests("run/2", {2, 1});
    for (SaveRequest& request : requests_) {
      request.base = "run/1";
      request.call.threads = 1;
    }
  }

  /// Runs the work in a process that is killed at the call of that number; false when it ended
  /// before.
  template <class Work>
  bool killed_at(size_t number, const Work& work) {
    const pid_t child = ::fork();
    if (child == 0) {
      FaultFs disk(posix_fs());
      disk.counts = [&disk, number](FsCall, const std::string&) {
        if (disk.calls >= number) (void)::raise(SIGKILL);
        return true;
      };
      const auto store = Store::open(disk, path());
      if (store) work(**store);
      ::_exit(0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  }

  void expect_clean() {
    collect_all();
    const auto plan = plan_collection(*store_, GcRequest{});
    ASSERT_TRUE(succeeds(plan));
    EXPECT_EQ(plan->packs_deleted + plan->metas_deleted, 0u);
    EXPECT_TRUE(files_in("sessions").empty());
    expect_sound();
  }

  RankRequests requests_;
};

TEST_F(PartCrash, WhileAPartIsStored) {
  size_t calls = 0;
  while (killed_at(calls,
                   [&](const Store& store) { (void)save_part(store, requests_[1]).has_value(); })) {
    if (calls % 7 == 0) expect_clean();
    if (HasFailure()) return;
    ++calls;
  }
  EXPECT_GT(calls, 20u);
  ASSERT_TRUE(succeeds(save_together(requests_)));
  states_["run/2"] = trainer_.state();
  expect_clean();
}

/// The parts are those of living processes; who unites them dies, and another does it again.
TEST_F(PartCrash, WhilePartsAreUnited) {
  size_t calls = 0, made = 0;
  for (;; calls += 2) {
    SavedParts parts = store_parts(requests_);
    SaveRequest request = uniting(requests_[0], parts);
    const bool killed =
        killed_at(calls, [&](const Store& store) { (void)save(store, request).has_value(); });
    store_ = *Store::open(posix_fs(), path());
    const bool is_there = store_->find_tag("run/2").has_value();
    made += is_there ? 1 : 0;
    if (calls % 2 == 0) collect_all();
    request.if_exists = IfExists::kSame;
    const auto again = save(*store_, request);
    ASSERT_TRUE(succeeds(again)) << calls;
    EXPECT_EQ(again->already_there, is_there);
    keep_all(parts);
    states_["run/2"] = trainer_.state();
    if (calls % 6 == 0) expect_clean();
    if (HasFailure()) return;
    forget({"run/2"});
    if (!killed) break;
  }
  EXPECT_GT(calls, 20u);
  EXPECT_GT(made, 1u) << "also after the commit";
}

/// A process dies when its part's name is known. Without gc the tag is made all the same.
TEST_F(PartCrash, AfterTheNameIsKnown) {
  for (const bool gc_comes : {false, true}) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ASSERT_TRUE(killed_at(SIZE_MAX, [&](const Store& store) {
      const auto part = save_part(store, requests_[1]);
      const std::string& name = (*part)->name();
      (void)(::write(ends[1], name.data(), name.size()) < 0);
      (void)::raise(SIGKILL);
    }));
    std::string name(1000, ' ');
    const ssize_t count = ::read(ends[0], name.data(), name.size());
    ASSERT_GT(count, 0);
    name.resize(static_cast<size_t>(count));
    ::close(ends[0]);
    ::close(ends[1]);
    if (gc_comes) collect_all();
    SavedParts parts = store_parts({requests_[0]});
    SaveRequest request = uniting(requests_[0], parts);
    request.parts.push_back(name);
    request.if_exists = IfExists::kReplace;
    const auto saved = save(*store_, request);
    keep_all(parts);
    states_["run/2"] = trainer_.state();
    if (gc_comes) {
      EXPECT_TRUE(fails_with(Code::kNotFound, saved));
      EXPECT_NE(saved.error().hint.find("must live until the save is done"), std::string::npos);
    } else {
      EXPECT_TRUE(succeeds(saved));
      expect_sound();
      forget({"run/2"});
    }
    states_.erase("run/2");
    expect_clean();
  }
}

}  // namespace
}  // namespace cairn
