"""Celery's side of decisions 1 and 2: Postgres is the truth, Celery only rings the doorbell.

Every line that differs from Celery's default was asked for by a measurement or a fault; the reasons stand
beside them.
"""

from kombu import Queue

from config import settings

SOCKET_SECONDS = 3

broker_url = settings().redis_url
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # Redis may be away for as long as it likes
broker_transport_options = {
    # A hung Redis must not hang a POST: the row is committed, and the sweep rings again.
    "socket_timeout": SOCKET_SECONDS,
    "socket_connect_timeout": SOCKET_SECONDS,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "global_keyprefix": "vitrine:",
    # A bell that is lost is rung again from its row: Redis need not keep a book of those on their way.
    "ack_emulation": False,
    "priority_steps": [0],  # our queues have none, and kombu would listen to four for each
}

task_acks_late = False  # leases in Postgres bring lost work back; late acks ran it twice
task_ignore_result = True
task_store_errors_even_if_ignored = False
result_backend = None
worker_cancel_long_running_tasks_on_connection_loss = False  # they hold leases and paid calls
task_publish_retry = False  # a failed doorbell is only late

task_create_missing_queues = False
task_queues = [Queue("interactive"), Queue("bulk"), Queue("webhooks")]
task_default_queue = "interactive"

worker_pool = "threads"  # an analysis mostly waits for the endpoint
worker_concurrency = settings().worker_concurrency
worker_prefetch_multiplier = 1
worker_hijack_root_logger = False
worker_redirect_stdouts = False
worker_send_task_events = False  # Flower turns them on where it runs; without it they are half a ms a task
task_send_sent_event = False
worker_proc_alive_timeout = 30
worker_enable_remote_control = True
include = ["worker.tasks.analyses", "worker.tasks.images", "worker.tasks.webhooks"]

timezone = "UTC"
task_serializer = "json"
accept_content = ["json"]
