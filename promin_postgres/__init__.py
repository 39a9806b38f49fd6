"""Durable workflows, queues, schedules and change streams on nothing but PostgreSQL."""
