/*
 * A message on its way: its bytes, its lists.
 */

#include "cdc_replicator.h"

#include <stdlib.h>


void
cdc_list_init(cdc_list_t *l)
{
    l->head = NULL;
    l->tail = &l->head;
    l->n = 0;
}


void
cdc_list_push(cdc_list_t *l, cdc_item_t *item)
{
    item->next = NULL;
    *l->tail = item;
    l->tail = &item->next;
    l->n++;
}


/* a list points into itself: it cannot be copied as it is */

void
cdc_list_move(cdc_list_t *to, cdc_list_t *from)
{
    *to = *from;

    if (from->head == NULL) {
        to->tail = &to->head;
    }

    cdc_list_init(from);
}


cdc_item_t *
cdc_list_pop(cdc_list_t *l)
{
    cdc_item_t  *item;

    item = l->head;
    l->head = item->next;
    l->n--;

    if (l->head == NULL) {
        l->tail = &l->head;
    }

    return item;
}


void
cdc_body_unref(void *data)
{
    cdc_body_t  *body = data;

    if (__atomic_sub_fetch(&body->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        body->ops->release(&body->msg);
        free(body);
    }
}


void
cdc_item_drop_body(cdc_item_t *item)
{
    if (item->body == NULL) {
        return;
    }

    cdc_body_unref(item->body);
    item->body = NULL;

    item->ch->bodies--;
    item->ch->repl->buffered -= item->bytes;
}


void
cdc_item_free(cdc_item_t *item)
{
    cdc_item_drop_body(item);
    free(item);
}


int
cdc_item_is_drop(const cdc_item_t *item)
{
    return item->env.type == CDC_MSG_DROP_COLLECTION
           || item->env.type == CDC_MSG_DROP_PARTITION;
}


/* is the message of what the drop is about?  part_id 0: any partition */

int
cdc_item_concerns(const cdc_item_t *item, int64_t collection_id,
    int64_t part_id)
{
    return !item->tick && item->env.collection_id == collection_id
           && (part_id == 0 || item->env.partition_id <= 0
               || item->env.partition_id == part_id);
}
