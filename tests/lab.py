"""Nome antigo de vae_lessons.authoring.lab."""

from vae_lessons.authoring.lab import *  # noqa: F403
