// Services that give credentials: STS for web identities, the endpoints of containers and machines.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/remote/credentials.h"

namespace cairn::remote {

/// What they are asked with; all borrowed.
struct CredentialServices {
  const Environment& environment;
  const Profile& profile;
  const std::string& region;
  const Fetch& fetch;
};

// Each: nullopt, and a line in `looked` that says why, where it gives none.

std::optional<Credentials> from_web_identity(const CredentialServices& services,
                                             std::vector<std::string>& looked);
std::optional<Credentials> from_container(const CredentialServices& services,
                                          std::vector<std::string>& looked);
/// EC2, by the second version of its metadata service.
std::optional<Credentials> from_machine(const CredentialServices& services,
                                        std::vector<std::string>& looked);

}  // namespace cairn::remote
