"""What is built in or brought, by name: YAML -> model, accelerator, law."""
