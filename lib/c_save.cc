// The C ABI: saving a tag.
#include <fmt/format.h>

#include "lib/base_tag.h"
#include "lib/c_group.h"
#include "lib/part_meeting.h"
#include "lib/roles.h"
#include "lib/save_json.h"
#include "lib/save_part.h"
#include "store/tag_name.h"

namespace cairn::c_abi {

template <class T>
static Result<T> word_of(const char* given, T standard, std::string_view what,
                         std::initializer_list<std::pair<std::string_view, T>> words) {
  if (given == nullptr) return standard;
  for (const auto& [word, value] : words) {
    if (word == given) return value;
  }
  std::string known;
  for (const auto& [word, value] : words) {
    known += fmt::format("{}'{}'", known.empty() ? "it is " : ", ", word);
  }
  return fail(Code::kUsage, fmt::format("'{}' is no value of {}", given, what), known);
}

/// Roles that the caller names count before those that names tell.
static Status name_roles(const std::vector<cairn_tensor>& given,
                         std::vector<TensorSource>& sources) {
  for (size_t i = 0; i < given.size(); ++i) {
    if (given[i].role == nullptr) continue;
    const auto role = role_named(given[i].role);
    if (!role) {
      return fail(Code::kUsage,
                  fmt::format("tensor '{}': no role is called '{}'", given[i].name, given[i].role));
    }
    sources[i].role = *role;
    sources[i].parameter = given[i].parameter == nullptr ? given[i].name : given[i].parameter;
  }
  return {};
}

static Result<std::vector<TensorSource>> sources_of(const std::vector<cairn_tensor>& given) {
  CAIRN_TRY(auto sources, places_of<TensorSource>(given));
  for (size_t i = 0; i < given.size(); ++i) sources[i].writer = given[i].writer;
  return sources;
}

static Status read_extras(const cairn_save_request& given, SaveRequest& request) {
  CAIRN_CHECK(check_given(given.attachments, given.attachment_count, "the attachments"));
  CAIRN_CHECK(check_given(given.metadata, given.metadata_count, "the metadata"));
  CAIRN_CHECK(check_given(given.warnings, given.warning_count, "the warnings"));
  const auto* at = reinterpret_cast<const uint8_t*>(given.attachments);
  for (size_t i = 0; i < given.attachment_count; ++i, at += given.attachment_bytes) {
    const auto attachment = grown<cairn_attachment>(at, given.attachment_bytes);
    CAIRN_TRY(const std::string name, text_of(attachment.name, "an attachment's name"));
    CAIRN_CHECK(check_given(static_cast<const uint8_t*>(attachment.data), attachment.bytes,
                            "the bytes of an attachment"));
    request.attachments.push_back(
        {name, ByteSpan(static_cast<const uint8_t*>(attachment.data), attachment.bytes)});
  }
  for (size_t i = 0; i < given.metadata_count; ++i) {
    CAIRN_TRY(const std::string key, text_of(given.metadata[i].key, "a key of the metadata"));
    CAIRN_TRY(request.metadata[key], text_of(given.metadata[i].value, "a value of the metadata"));
  }
  for (size_t i = 0; i < given.warning_count; ++i) {
    CAIRN_TRY(request.warnings.emplace_back(), text_of(given.warnings[i], "a warning"));
  }
  return {};
}

static Status read_choices(const cairn_save_request& given, SaveRequest& request) {
  if (given.base != nullptr) request.base = given.base;
  CAIRN_TRY(request.if_exists, word_of(given.if_exists, IfExists::kError, "if_exists",
                                       {{"error", IfExists::kError},
                                        {"same", IfExists::kSame},
                                        {"replace", IfExists::kReplace}}));
  CAIRN_TRY(request.effort, word_of(given.effort, Effort::kBalanced, "effort",
                                    {{"balanced", Effort::kBalanced},
                                     {"fast", Effort::kFast},
                                     {"small", Effort::kSmall}}));
  if (given.has_step != 0) request.step = given.step;
  request.pinned = given.pinned != 0;
  request.are_still = given.still != 0;
  if (given.restore_budget != 0) request.restore_budget = given.restore_budget;
  if (given.weights_every != 0) {
    request.weights_every =
        given.weights_every < 0 ? 0 : static_cast<uint32_t>(given.weights_every);
  }
  request.call = call_of(given.threads, given.watch);
  if (given.wait_s > 0) {
    request.call.wait = milliseconds_of(given.wait_s);
  }
  return {};
}

static Status read_devices(const cairn_save_request& given, SaveRequest& request) {
  if (given.staging != nullptr) request.devices.staging = given.staging->staging.get();
  CAIRN_TRY(request.devices.streams,
            streams_of(given.streams, given.stream_count, given.stream_bytes));
  if (given.fence == nullptr) return {};
  request.fence = [fence = given.fence, context = given.fence_context] { fence(context); };
  return {};
}

/// Views what the caller's request points to.
static Result<SaveRequest> read_request(const cairn_save_request& given) {
  SaveRequest request;
  CAIRN_TRY(request.tag, text_of(given.tag, "the tag"));
  CAIRN_TRY(const auto tensors, tensors_of(given.tensors, given.tensor_count, given.tensor_bytes));
  CAIRN_TRY(request.tensors, sources_of(tensors));
  CAIRN_TRY(const auto before,
            tensors_of(given.base_memory, given.base_memory_count, given.tensor_bytes));
  CAIRN_TRY(request.base_memory, sources_of(before));
  CAIRN_CHECK(check_given(given.parts, given.part_count, "the parts"));
  for (size_t i = 0; i < given.part_count; ++i) {
    CAIRN_TRY(request.parts.emplace_back(), text_of(given.parts[i], "a part's name"));
  }
  CAIRN_CHECK(read_extras(given, request));
  CAIRN_CHECK(read_choices(given, request));
  CAIRN_CHECK(read_devices(given, request));
  // Names that match nothing are no matter: tensors may say their roles themselves.
  CAIRN_CHECK(give_roles(given.roles == nullptr ? kRolesByName : given.roles,
                         "the roles of the request", request.metadata, request.tensors,
                         request.optimizer));
  CAIRN_CHECK(name_roles(tensors, request.tensors));
  return request;
}

}  // namespace cairn::c_abi

extern "C" cairn_status cairn_save(cairn_store* store, const cairn_save_request* request,
                                   char** result) {
  return cairn::c_abi::run([&]() -> cairn::Status {
    CAIRN_TRY(const cairn_save_request given, cairn::c_abi::request_of(request));
    CAIRN_TRY(const cairn::SaveRequest wanted, cairn::c_abi::read_request(given));
    CAIRN_TRY(const cairn::SaveResult saved, cairn::save(*store->store, wanted));
    return result == nullptr ? cairn::Status()
                             : cairn::c_abi::give_json(cairn::save_json(saved), result);
  });
}

extern "C" cairn_status cairn_check_tag(const char* tag) {
  return cairn::c_abi::run([&]() -> cairn::Status {
    CAIRN_TRY(const std::string name, cairn::c_abi::text_of(tag, "the tag"));
    return cairn::check_tag_name(name);
  });
}

extern "C" cairn_status cairn_base_of(cairn_store* store, const char* tag, char** name) {
  return cairn::c_abi::run([&]() -> cairn::Status {
    CAIRN_TRY(const std::string wanted, cairn::c_abi::text_of(tag, "the tag"));
    CAIRN_TRY(const auto base, store->store->ask_tags([&](cairn::TagBook& tags) {
      return cairn::choose_base(tags, wanted, std::nullopt);
    }));
    return cairn::c_abi::give_text(base ? base->name : "none", name);
  });
}

struct cairn_part {
  std::shared_ptr<const cairn::Store> store;  // until the part has ended, whoever closes it
  std::unique_ptr<cairn::SavedPart> part;
};

extern "C" cairn_status cairn_save_part(cairn_store* store, const cairn_save_request* request,
                                        cairn_part** part) {
  return cairn::c_abi::run([&]() -> cairn::Status {
    CAIRN_TRY(const cairn_save_request given, cairn::c_abi::request_of(request));
    CAIRN_TRY(cairn::SaveRequest wanted, cairn::c_abi::read_request(given));
    cairn::c_abi::LentGroup group;
    CAIRN_CHECK(group.read(given.group));
    wanted.group = group.group();
    if (!wanted.parts.empty()) {
      return cairn::fail(cairn::Code::kUsage, "a part of a save is not made of parts");
    }
    CAIRN_TRY(auto saved, cairn::save_part(*store->store, wanted));
    *part = new cairn_part{store->store, std::move(saved)};
    return {};
  });
}

extern "C" const char* cairn_part_name(const cairn_part* part) {
  return part->part->name().c_str();
}

extern "C" cairn_status cairn_part_notes(const cairn_part* part, char** notes) {
  return cairn::c_abi::run([&]() -> cairn::Status {
    return cairn::c_abi::give_json(nlohmann::ordered_json(part->part->notes()), notes);
  });
}

extern "C" cairn_status cairn_part_meet(cairn_store* store, cairn_part* part,
                                        const cairn_save_request* request, uint32_t rank,
                                        uint32_t ranks, double longest_s, char** result) {
  return cairn::c_abi::run([&]() -> cairn::Status {
    CAIRN_TRY(const cairn_save_request given, cairn::c_abi::request_of(request));
    CAIRN_TRY(const cairn::SaveRequest wanted, cairn::c_abi::read_request(given));
    cairn::Meeting meeting{rank, ranks};
    meeting.job = cairn::c_abi::text_or_none(given.job);
    if (longest_s > 0) meeting.longest = cairn::c_abi::milliseconds_of(longest_s);
    CAIRN_TRY(const auto told, cairn::meet(*store->store, wanted, *part->part, meeting));
    return result == nullptr ? cairn::Status() : cairn::c_abi::give_json(told, result);
  });
}

extern "C" void cairn_part_end(cairn_part* part, int32_t remove) {
  if (part == nullptr) return;
  // What memory runs out for is gc's to find.
  (void)cairn::guard_memory([&]() -> cairn::Status {
    remove != 0 ? part->part->remove() : part->part->keep();
    return {};
  }).has_value();
  delete part;
}
