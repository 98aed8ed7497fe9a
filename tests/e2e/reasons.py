"""Why a role is granted what neither story uses, where several roles share the reason."""

LARGE_OBJECTS = "large objects travel in parts, and the story's are small"
TAGS = "a server-side copy takes tags along where there are any; the story's objects have none"
VERSIONS = "objects are read by version where a version is pinned"
NETWORK = "SageMaker makes the network interfaces of jobs and endpoints in a VPC; the local cloud has no network"
VOLUMES = "SageMaker encrypts volumes with a grant; the local cloud asks it of the caller only"
METRICS = "containers publish the metrics of instances; the local cloud publishes without asking"

NETWORK_INTERFACES = {
    "ec2:CreateNetworkInterface",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
}
"""See :data:`NETWORK`."""
