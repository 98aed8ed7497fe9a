"""Environment files -> Terraform, by CDKTF. ``stacks.app`` is the entry; ``docs/architecture.md`` tells the flow."""
