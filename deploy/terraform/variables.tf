variable "project" {
  description = "Project that holds all of this and nothing else: some roles are given for the whole of it."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project's id has 6 to 30 lower-case letters, digits and hyphens, such as my-project."
  }
}

variable "region" {
  description = "Where jobs work, and where buckets, topics and keys lie."
  type        = string
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region)) && contains(var.allowed_locations, var.region)
    error_message = "Write a region such as europe-west3 that is one of allowed_locations."
  }
}

variable "location" {
  description = "Location of the BigQuery datasets, a region or EU or US; that of --output."
  type        = string
  validation {
    condition     = contains(var.allowed_locations, var.location)
    error_message = "The datasets must lie in one of allowed_locations."
  }
}

variable "allowed_locations" {
  description = "Where data may lie and jobs may work; the same as allowed_locations of the configuration."
  type        = list(string)
  validation {
    condition     = length(var.allowed_locations) > 0
    error_message = "Name at least one location."
  }
}

variable "config_file" {
  description = "The configuration (TOML) on this machine; every job reads this copy of it."
  type        = string
  validation {
    condition     = endswith(var.config_file, ".toml") && fileexists(var.config_file)
    error_message = "Name a TOML file that exists."
  }
}

variable "image" {
  description = "Image of launcher and workers with its tag; null until one has been pushed: no job then."
  type        = string
  default     = null
  validation {
    condition     = var.image == null ? true : can(regex("^[a-z0-9.-]+/.+(:[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})$", var.image)) && !endswith(var.image, ":latest")
    error_message = "Name the image with a tag of its own or a digest, never latest."
  }
}

variable "key_version" {
  description = "Version of the secret key that jobs use; a number, so that no job changes its key unasked."
  type        = number
  default     = 1
  validation {
    condition     = var.key_version >= 1
    error_message = "Versions count from 1."
  }
}

variable "retention_days" {
  description = "How long event files are kept: at least retention_days + lookback_days of the configuration."
  type        = number
  default     = 90
  validation {
    condition     = var.retention_days >= 1
    error_message = "At least one day."
  }
}

variable "with_stream" {
  description = "Whether the stream runs."
  type        = bool
  default     = true
}

variable "shards" {
  description = "Parts of each stage of the stream; a running job's state is cut by it, so it stays."
  type        = number
  default     = 16
  validation {
    condition     = var.shards >= 1 && var.shards <= 4096
    error_message = "1 to 4096."
  }
}

variable "gather_seconds" {
  description = "How long the stream's steps gather what comes: longer is cheaper and later (docs/scale.md)."
  type        = number
  default     = 10
  validation {
    condition     = var.gather_seconds >= 1 && floor(var.gather_seconds) == var.gather_seconds
    error_message = "Whole seconds, at least 1."
  }
}

variable "stream_machine_type" {
  description = "Machine of the stream's workers."
  type        = string
  default     = "n2-standard-4"
}

variable "stream_max_workers" {
  description = "The most workers the stream may have, which bounds what it costs."
  type        = number
  default     = 4
  validation {
    condition     = var.stream_max_workers >= 1 && var.stream_max_workers <= 1000
    error_message = "1 to 1000."
  }
}

variable "backfill_schedule" {
  description = "When the daily backfill starts (cron, UTC); null for none."
  type        = string
  default     = "30 3 * * *"
  validation {
    condition     = var.backfill_schedule == null ? true : length(split(" ", var.backfill_schedule)) == 5
    error_message = "Five fields, such as 30 3 * * *."
  }
}

variable "backfill_days" {
  description = "How many complete days the daily backfill writes again: allowed_lateness_hours in days, and one."
  type        = number
  default     = 4
  validation {
    condition     = var.backfill_days >= 1
    error_message = "At least one day."
  }
}

variable "backfill_machine_type" {
  description = "The machine that a backfill has for itself (docs/scale.md)."
  type        = string
  default     = "n2-highmem-8"
}

variable "backfill_disk_gb" {
  description = "Its disk: twice the events of lookback_days + backfill_days, uncompressed."
  type        = number
  default     = 200
  validation {
    condition     = var.backfill_disk_gb >= 30
    error_message = "At least 30."
  }
}

variable "alert_emails" {
  description = "Who is told when something is wrong."
  type        = set(string)
  validation {
    condition     = length(var.alert_emails) > 0 && alltrue([for address in var.alert_emails : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "Name at least one e-mail address."
  }
}

variable "checked_datasets" {
  description = "Datasets of accounts, in this location, whose rows are checked daily; attribeam tables apply first."
  type        = set(string)
  default     = []
}

variable "watermark_lag_minutes" {
  description = "How far the stream's watermark may be behind before someone is told."
  type        = number
  default     = 30
}

variable "dead_letter_share" {
  description = "Share of a day's events that may be dead letters."
  type        = number
  default     = 0.05
}

variable "unattributed_share" {
  description = "Share of a day's inbound calls that may be unattributed."
  type        = number
  default     = 0.6
}

variable "staleness_hours" {
  description = "How old the latest row of an account may be."
  type        = number
  default     = 26
}

variable "unreadable_events" {
  description = "How many events of a day may have no account that can be read."
  type        = number
  default     = 100
}
