#include "cli/lazy_look_up.h"

#include <fmt/format.h>

#include "lib/open_store.h"

namespace cairn {
namespace {

class LazyLookUp {
 public:
  LazyLookUp(Output& output, std::string store, std::string doing)
      : output_(output), store_(std::move(store)), doing_(std::move(doing)) {}

  Status operator()(const std::vector<Digest>& wanted, std::vector<std::optional<Copy>>& found) {
    if (!tried_) start();
    tried_ = true;
    if (helper_ == nullptr) return fail(Code::kFailed, "there is no index helper");
    Status answered = helper_->look_up(wanted, found);
    if (!answered) {
      warn(answered.error());
      helper_.reset();
    }
    return answered;
  }

 private:
  void start() {
    auto helper = IndexHelper::start(helper_program("/proc/self/exe"), store_);
    if (helper) {
      helper_ = *std::move(helper);
    } else {
      warn(helper.error());
    }
  }

  void warn(const Error& error) {
    output_.warn(fmt::format(
        "{} without store-wide look-ups: {}; 'cairn repair index' builds a damaged index anew",
        doing_, error.message));
  }

  Output& output_;
  const std::string store_, doing_;
  bool tried_ = false;
  std::unique_ptr<IndexHelper> helper_;
};

}  // namespace

LookUp lazy_look_up(Output& output, const std::string& store, std::string doing) {
  if (is_remote(store)) return {};
  // A std::function is copied; the helper is not.
  const auto look_up = std::make_shared<LazyLookUp>(output, folder_of(store), std::move(doing));
  return [look_up](const std::vector<Digest>& wanted, std::vector<std::optional<Copy>>& found) {
    return (*look_up)(wanted, found);
  };
}

}  // namespace cairn
